// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a task has used.

#include <chrono>
#include <cstddef>

namespace procpool {

/// What Future::usage() tells. Both are those of the worker's process, all its threads.
struct Usage {
  std::chrono::nanoseconds cpu_time{0};  // user and system, of all tries in the worker that ended the task
  std::size_t peak_memory = 0;           // bytes resident at most while it ran, the pool's shared memory included
};

}  // namespace procpool
