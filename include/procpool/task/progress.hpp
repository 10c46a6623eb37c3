// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How far a verb has come.

#include <cstddef>
#include <string_view>

namespace procpool {

/// What `on_progress` tells its callback.
struct Progress {
  std::size_t done = 0;         // items that are finished, well or not; of a submitted task, units of its own
  std::size_t total = 0;        // of these in all; 0: not known yet. At the end all are done
  std::string_view label = {};  // of the task terms; valid during the callback
};

}  // namespace procpool
