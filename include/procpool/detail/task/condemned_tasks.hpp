// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How the supervisor learns that a task was condemned.

#include <sys/eventfd.h>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include <procpool/detail/result/state_word.hpp>
#include <procpool/detail/ring/ring.hpp>

namespace procpool::detail {

/// In the private memory of the user's process; its pool, and with it the supervisor, may have gone. A worker has one
/// task in hand, so there is a place for each worker, and to condemn a task needs no memory.
class CondemnedTasks {
 public:
  explicit CondemnedTasks(std::size_t workers) : by_worker_(workers) {
    for (auto& each : by_worker_) each.store(none, std::memory_order_relaxed);  // relaxed: not shared yet
  }

  /// The slot of the task says already that it is condemned and whose it is.
  void add(WorkerIndex worker, Handle handle) noexcept {
    if (worker >= by_worker_.size()) return;  // A wild write has ruined the word.
    // (1) release-store, pairs with (2): whoever takes it sees that word.
    by_worker_[worker].store(handle, std::memory_order_release);
    const std::lock_guard lock(mutex_);
    if (bell_ >= 0) ::eventfd_write(bell_, 1);
  }

  /// The supervisor. What was condemned of this worker's since the last call.
  [[nodiscard]] std::optional<Handle> take(WorkerIndex worker) noexcept {
    // (2) acquire-rmw, pairs with (1): the word of the slot is as it was then, or newer.
    const Handle handle = by_worker_[worker].exchange(none, std::memory_order_acquire);
    return handle == none ? std::nullopt : std::optional(handle);
  }

  /// What was taken is not settled: it is taken again, unless another has come since.
  void put_back(WorkerIndex worker, Handle handle) noexcept {
    Handle now = none;
    // relaxed: who takes it again is who puts it back
    by_worker_[worker].compare_exchange_strong(now, handle, std::memory_order_relaxed);
  }

  /// The supervisor's eventfd; -1: it hears no more.
  void set_bell(int descriptor) {
    const std::lock_guard lock(mutex_);
    bell_ = descriptor;
  }

 private:
  static constexpr Handle none = ~Handle{0};

  std::vector<std::atomic<Handle>> by_worker_;
  std::mutex mutex_;
  int bell_ = -1;  // under the mutex
};

}  // namespace procpool::detail
