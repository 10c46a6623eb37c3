// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How long to look before sleeping.

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

/// One wait: looks again and again until `budget` is spent, which covers an answer on its way between two caches and a
/// short task. It never yields: on a CPU that others want, a yield costs a whole slice of the scheduler (milliseconds),
/// while a sleeper that is woken is put before them.
class Spinner {
 public:
  explicit Spinner(std::chrono::nanoseconds budget) noexcept : budget_(budget) {}

  /// Passes a moment. False once the budget is spent: the caller sleeps.
  [[nodiscard]] bool spin() noexcept {
    if (budget_ <= budget_.zero()) return false;
    cpu_relax();
    if (++turns_ % turns_between_clocks != 0) return true;
    const auto now = std::chrono::steady_clock::now();
    if (turns_ == turns_between_clocks) end_ = now + budget_;
    return now < end_;
  }

 private:
  static constexpr int turns_between_clocks = 32;

  std::chrono::nanoseconds budget_;
  std::chrono::steady_clock::time_point end_{};
  int turns_ = 0;
};

}  // namespace procpool::detail
