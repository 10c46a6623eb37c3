// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The order among tasks that wait.

#include <cstdint>

namespace procpool {

/// Which of the tasks that wait is taken first. Now and then a worker looks for low ones first, so that none starves.
enum class Priority : std::uint8_t { low, normal, high };

}  // namespace procpool
