// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// On which CPU a thread runs, and how it gets off it.

#include <sched.h>

#include <cstddef>

namespace procpool::detail {

/// The CPU that the calling thread ran on at some moment during the call; -1 where the system does not say.
[[nodiscard]] inline int current_cpu() noexcept { return ::sched_getcpu(); }

/// Moves the calling thread to another of its CPUs, if it may use more than `least`; where it may run later is as
/// before. The scheduler leaves two that take turns on one CPU there, whatever else is idle, if neither runs for long.
inline void move_to_another_cpu(std::size_t least) noexcept {
  cpu_set_t usable;
  if (::sched_getaffinity(0, sizeof usable, &usable) != 0) return;
  if (static_cast<std::size_t>(CPU_COUNT(&usable)) <= least) return;
  cpu_set_t others = usable;
  const int here = current_cpu();
  if (here >= 0) CPU_CLR(static_cast<std::size_t>(here), &others);
  if (::sched_setaffinity(0, sizeof others, &others) == 0) ::sched_setaffinity(0, sizeof usable, &usable);
}

}  // namespace procpool::detail
