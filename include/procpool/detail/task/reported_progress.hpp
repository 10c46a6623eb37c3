// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How far a single task says it is.
///
/// Shared by  the worker that runs the task, which writes it, and the dispatch thread of the user's process.
/// Progress   wait-free.
/// Crash      the numbers stay as they are; they are only shown.

#include <atomic>
#include <cstdint>

namespace procpool::detail {

/// One for each task whose sender wants to be told; it belongs to the task from its sending to the end of its slot.
class ReportedProgress {
 public:
  struct Numbers {
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    [[nodiscard]] bool operator==(const Numbers&) const = default;
  };

  /// The worker.
  void report(Numbers numbers) noexcept {
    total_.store(numbers.total, std::memory_order_relaxed);  // relaxed: published by (1)
    // (1) release-store, pairs with (2): the total is at least as new as what is done of it.
    done_.store(numbers.done, std::memory_order_release);
  }

  /// The user's process.
  [[nodiscard]] Numbers was_reported() const noexcept {
    Numbers numbers;
    // (2) acquire-load, pairs with (1): the total is at least as new as what is done of it.
    numbers.done = done_.load(std::memory_order_acquire);
    numbers.total = total_.load(std::memory_order_relaxed);  // relaxed: see (2)
    return numbers;
  }

 private:
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> total_{0};
};

}  // namespace procpool::detail
