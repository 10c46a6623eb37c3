// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Tasks that wait for space in the ring for those that are queued again.
///
/// Shared by  the supervisor and those who break the pool, under the lock of the repair; any thread asks had_any().
/// Crash      it dies with the user's process only.

#include <atomic>
#include <cstddef>
#include <vector>

#include <procpool/detail/ring/ring.hpp>

namespace procpool::detail {

class WaitingTasks {
 public:
  /// At some moment during the call.
  [[nodiscard]] bool had_any() const noexcept {
    // (1) acquire-load, pairs with (2): those that wait no more have ended, or lie in the ring.
    return count_.load(std::memory_order_acquire) != 0;
  }
  [[nodiscard]] const std::vector<Handle>& handles() const noexcept { return handles_; }

  /// For one task more. Throws std::bad_alloc, so that add() need not.
  void have_room() {
    if (handles_.size() == handles_.capacity()) handles_.reserve(2 * handles_.size() + 16);
  }
  /// After have_room().
  void add(Handle handle) {
    handles_.push_back(handle);
    count();
  }
  void clear() noexcept {
    handles_.clear();
    count();
  }

  /// Calls `again(handle)` for each, in order, which may add it again. If that throws, none is lost.
  template <class Again>
  void retry(Again again);

 private:
  void count() noexcept {
    // (2) release-store, pairs with (1): what became of those that are counted no more.
    count_.store(handles_.size(), std::memory_order_release);
  }

  std::vector<Handle> handles_;
  std::atomic<std::size_t> count_{0};  // of the handles
};

template <class Again>
void WaitingTasks::retry(Again again) {
  const std::vector<Handle> before = handles_;
  handles_.clear();  // It keeps its room, so that those who go on waiting need none.
  std::size_t next = 0;
  try {
    for (; next < before.size(); ++next) again(before[next]);
  } catch (...) {
    handles_.insert(handles_.end(), before.begin() + static_cast<std::ptrdiff_t>(next), before.end());
    count();
    throw;
  }
  count();
}

}  // namespace procpool::detail
