// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How many workers have died, and how many left to be replaced.
///
/// Shared by  the supervisor, who counts; any thread reads.
/// Crash      it dies with the user's process only.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <procpool/detail/result/extent.hpp>

namespace procpool::detail {

class DeathCounts {
 public:
  explicit DeathCounts(std::size_t workers) : counted_(workers, 0) {}

  /// Counts the end of a life, once, though it may take several calls until it is decided.
  void count(std::size_t index, Life life, bool has_died, bool is_recycled) noexcept {
    if (counted_[index] == life) return;
    counted_[index] = life;
    if (has_died) worker_deaths_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a statistic
    if (is_recycled) recycled_.fetch_add(1, std::memory_order_relaxed);    // relaxed: a statistic
  }

  [[nodiscard]] std::uint64_t worker_deaths() const noexcept {
    return worker_deaths_.load(std::memory_order_relaxed);  // relaxed: a statistic
  }
  [[nodiscard]] std::uint64_t recycled() const noexcept {
    return recycled_.load(std::memory_order_relaxed);  // relaxed: a statistic
  }

 private:
  std::vector<Life> counted_;  // the last life of each worker that was counted; the supervisor's alone
  std::atomic<std::uint64_t> worker_deaths_{0};
  std::atomic<std::uint64_t> recycled_{0};
};

}  // namespace procpool::detail
