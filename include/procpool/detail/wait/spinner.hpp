// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How long to look before sleeping: a spin that becomes a yield, and ends.

#include <sched.h>

#include <chrono>

namespace procpool::detail {

/// Tells the CPU that this is a wait loop; on a core shared by two threads the other one gets it.
inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// One wait. Spins `pauses` times, which covers an answer on its way between two caches; then yields, so that a worker
/// on the same CPU may run, until `budget` is spent.
class Spinner {
 public:
  explicit Spinner(std::chrono::nanoseconds budget) noexcept : budget_(budget) {}

  /// Passes a moment. False once the budget is spent: the caller sleeps.
  [[nodiscard]] bool spin() noexcept {
    if (budget_ <= budget_.zero()) return false;
    if (++turns_ < pauses) {
      cpu_relax();
      return true;
    }
    const auto now = std::chrono::steady_clock::now();
    if (turns_ == pauses) end_ = now + budget_;
    if (now >= end_) return false;
    ::sched_yield();
    return true;
  }

 private:
  static constexpr int pauses = 128;

  std::chrono::nanoseconds budget_;
  std::chrono::steady_clock::time_point end_{};
  int turns_ = 0;
};

}  // namespace procpool::detail
