// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a thread or process does before it sleeps.

#include <chrono>

namespace procpool {

/// How workers look for tasks, and callers for results, before they sleep.
///
/// Whatever the policy, nobody looks where the workers that are awake leave him no CPU: with as many of them at work as
/// CPUs are usable (see usable_cpus(); asked when the pool is made) callers sleep, with more so do workers that find no
/// work. While short tasks keep all of these CPUs busy, a caller may be told of a result a quarter of a millisecond
/// late: woken for each, it would take their time. No more than four workers of a pool look at a time; others sleep.
enum class WaitPolicy {
  spin,      ///< long (milliseconds): the shortest round trip where a CPU is free for it, at the price of that CPU
  balanced,  ///< tens of microseconds: eight times that for a task not yet claimed, and not at all for one whose worker
             ///< had to be woken
  block,     ///< not at all: no CPU time is spent on waiting
};

namespace detail {

[[nodiscard]] inline std::chrono::nanoseconds spin_budget(WaitPolicy policy) {
  switch (policy) {
    case WaitPolicy::spin: return std::chrono::milliseconds(5);
    case WaitPolicy::balanced: return std::chrono::microseconds(30);
    case WaitPolicy::block: break;
  }
  return std::chrono::nanoseconds::zero();
}

}  // namespace detail

}  // namespace procpool
