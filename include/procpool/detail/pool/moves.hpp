// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How often a task was put back to where others wait.
///
/// Shared by  who puts tasks back, under the lock of the repair, and any thread that asks whether a pool is idle.
/// Crash      it dies with the user's process only.

#include <atomic>
#include <cstdint>

namespace procpool::detail {

/// Who looks for tasks where they wait and then where they run misses none if seen() says the same before and after:
/// one that was put back between the two looks was counted between them.
class Moves {
 public:
  /// When the task can be found where it was put, and before it is gone from where it was.
  void count() noexcept {
    // (1) release-rmw, pairs with (2): the task can be found where it was put.
    count_.fetch_add(1, std::memory_order_release);
  }

  [[nodiscard]] std::uint64_t seen() const noexcept {
    // (2) acquire-load, pairs with (1): what was counted can be found by the looks that follow.
    return count_.load(std::memory_order_acquire);
  }

 private:
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace procpool::detail
