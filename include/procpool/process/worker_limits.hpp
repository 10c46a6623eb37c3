// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the operating system lets each worker have (setrlimit(2)).

#include <cstddef>

namespace procpool {

/// 0 leaves a limit as it was inherited.
struct WorkerLimits {
  std::size_t address_space = 0;  ///< bytes; an allocation beyond it is std::bad_alloc. Counts the pool's reservation.
  std::size_t cpu_seconds = 0;    ///< of one worker's life; beyond it SIGXCPU
  std::size_t open_files = 0;
  std::size_t core_size = 0;  ///< bytes of a core dump
};

}  // namespace procpool
