// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How far a verb has come.

#include <cstddef>
#include <string_view>

namespace procpool {

/// What `on_progress` tells its callback.
struct Progress {
  std::size_t done = 0;         // items that are finished, well or not
  std::size_t total = 0;        // items in all; 0: an input range whose end was not seen yet
  std::string_view label = {};  // of the task terms; valid during the callback
};

}  // namespace procpool
