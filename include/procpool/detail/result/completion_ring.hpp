// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The handles of watched tasks that one worker has ended.
///
/// Shared by  one worker at a time, who pushes, and the user's process, which drains under one lock.
/// Progress   wait-free on both sides; a full ring sets a flag instead of waiting, and the reader then scans what it
///            watches.
/// Crash      a death between ending a task and pushing it is made up by the supervisor, who looks at the task that
///            the dead worker's row names.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <procpool/detail/ring/ring.hpp>

namespace procpool::detail {

class CompletionRing {
 public:
  /// The worker, after the task is Done.
  void push(Handle handle) noexcept {
    const std::uint64_t next = pushed_.load(std::memory_order_relaxed);  // relaxed: this worker alone writes it
    // relaxed: this worker alone writes it; what it has seen once is ordered by (1) of that time.
    std::uint64_t drained = seen_drained_.load(std::memory_order_relaxed);
    if (next - drained >= capacity) {
      // (1) acquire-load, pairs with (4): the reader has copied the cell before it is overwritten.
      drained = drained_.load(std::memory_order_acquire);
      seen_drained_.store(drained, std::memory_order_relaxed);  // relaxed: see above
    }
    if (next - drained >= capacity) {
      // (2) seq_cst-store, pairs with (5), (7), (8): the reader scans, and finds the task Done.
      overflowed_.store(1, std::memory_order_seq_cst);
      return;
    }
    cells_[next % capacity].store(handle, std::memory_order_relaxed);  // relaxed: published by (3)
    // (3) seq_cst-store, pairs with (6), (8): the cell is visible. Also the store of the lemma "Done / waiting".
    pushed_.store(next + 1, std::memory_order_seq_cst);
  }

  /// The reader, under the hub's lock: calls `take(handle)` for each. False if handles are missing: scan.
  template <class Take>
  [[nodiscard]] bool drain(Take take) {
    std::uint64_t next = drained_.load(std::memory_order_relaxed);  // relaxed: only readers write it, under the lock
    // (6) seq_cst-load, pairs with (3): the cells below it are visible.
    const std::uint64_t end = pushed_.load(std::memory_order_seq_cst);
    const bool is_sound = end - next <= capacity;  // Or a wild write ruined a count: what it hides is scanned for.
    if (!is_sound) next = end - capacity;
    for (; next != end; ++next) take(cells_[next % capacity].load(std::memory_order_relaxed));  // relaxed: see (6)
    // (4) release-store, pairs with (1): the cells are copied.
    drained_.store(end, std::memory_order_release);
    // (5) seq_cst-load, pairs with (2): what did not fit is Done by now.
    if (overflowed_.load(std::memory_order_seq_cst) == 0) return is_sound;
    // (7) seq_cst-rmw, pairs with (2): whatever did not fit until now is found Done by the scan that follows, and what
    // does not fit later sets it again.
    overflowed_.exchange(0, std::memory_order_seq_cst);
    return false;
  }

  /// True if drain() would find something, at some moment during the call.
  [[nodiscard]] bool had_something() const noexcept {
    // (8) seq_cst-load, pairs with (2), (3): the loads of the lemma "Done / waiting". relaxed: only readers write it,
    // and who calls this without their lock looks under it afterwards.
    return pushed_.load(std::memory_order_seq_cst) != drained_.load(std::memory_order_relaxed) ||
           overflowed_.load(std::memory_order_seq_cst) != 0;
  }

 private:
  static constexpr std::size_t capacity = 512;

  alignas(64) std::atomic<std::uint64_t> pushed_{0};               // written by the worker
  std::atomic<std::uint64_t> seen_drained_{0};                     // the worker's alone: drained_, some time ago
  std::atomic<std::uint32_t> overflowed_{0};                       // set by the worker, reset by the reader
  alignas(64) std::atomic<std::uint64_t> drained_{0};              // written by the reader
  alignas(64) std::array<std::atomic<Handle>, capacity> cells_{};  // written by the worker below pushed_, then read
};

}  // namespace procpool::detail
