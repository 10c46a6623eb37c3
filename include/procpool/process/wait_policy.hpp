// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a thread or process does before it sleeps.

#include <chrono>

#include <procpool/process/usable_cpus.hpp>

namespace procpool {

/// How workers look for tasks, and callers for results, before they sleep.
enum class WaitPolicy {
  spin,      ///< long (milliseconds): the shortest round trip, at the price of a busy CPU
  balanced,  ///< tens of microseconds if more than one CPU is usable: eight times that for a task not yet claimed, and
             ///< not at all for one whose worker had to be woken
  block,     ///< not at all: no CPU time is spent on waiting
};

namespace detail {

[[nodiscard]] inline std::chrono::nanoseconds spin_budget(WaitPolicy policy) {
  switch (policy) {
    case WaitPolicy::spin: return std::chrono::milliseconds(5);
    case WaitPolicy::balanced: return std::chrono::microseconds(usable_cpus() > 1 ? 30 : 0);
    case WaitPolicy::block: break;
  }
  return std::chrono::nanoseconds::zero();
}

}  // namespace detail

}  // namespace procpool
