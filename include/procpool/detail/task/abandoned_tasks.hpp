// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The tasks that nobody waits for any more: each keeps its slot until it has ended and was swept.
///
/// Shared by  the threads of the user's process.
/// Progress   blocking among them; no code of the user's runs under the lock.
/// Crash      it dies with the user's process only.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include <procpool/detail/memory/block_allocator.hpp>
#include <procpool/detail/result/slot_table.hpp>

namespace procpool::detail {

class AbandonedTasks {
 public:
  explicit AbandonedTasks(const SlotTable& slots) noexcept : slots_(slots) {}

  /// False if the task has ended meanwhile: the caller frees it.
  [[nodiscard]] bool add(Handle handle);

  /// Calls `free(handle)`, without the lock, for up to `most` that have ended, and says for how many.
  template <class Free>
  std::size_t sweep(std::size_t most, Free free);

  /// At some moment during the call.
  [[nodiscard]] std::size_t count() const noexcept {
    return count_.load(std::memory_order_relaxed);  // relaxed: racy by nature
  }

  /// True if a slot will come back from them. If not, all that they have held is free, as the next look will show.
  [[nodiscard]] bool will_give_slot() const {
    const std::lock_guard lock(mutex_);
    return are_being_freed() || !handles_.empty();
  }

  /// True if a block of `bytes` may fit into `memory` when they have ended. If not, the same as above.
  [[nodiscard]] bool will_make_room(const BlockAllocator& memory, std::size_t bytes) const;

 private:
  [[nodiscard]] bool are_being_freed() const noexcept {
    // (1) acquire-load, pairs with (2): what those that are counted no more have held is free.
    return freeing_.load(std::memory_order_acquire) != 0;
  }

  const SlotTable& slots_;
  mutable std::mutex mutex_;
  std::vector<Handle> handles_;          // under the mutex, as the next one
  std::size_t sweep_from_ = 0;           // where the next sweep goes on
  std::atomic<std::size_t> count_{0};    // of the handles, so that a submit need not lock to find none
  std::atomic<std::size_t> freeing_{0};  // taken out of the list, and not yet free; raised under the mutex
};

inline bool AbandonedTasks::add(Handle handle) {
  const std::lock_guard lock(mutex_);
  if (slots_[handle].load().is_over()) return false;
  handles_.push_back(handle);
  count_.store(handles_.size(), std::memory_order_relaxed);  // relaxed: a hint for sweep()
  return true;
}

template <class Free>
std::size_t AbandonedTasks::sweep(std::size_t most, Free free) {
  // The sweep of everything asks under the lock: after the last of a pool's, add() finds that all has ended.
  if (most != SIZE_MAX && count() == 0) return 0;
  std::vector<Handle> ended;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t left = std::min(most, handles_.size()); left > 0; --left) {
      if (sweep_from_ >= handles_.size()) sweep_from_ = 0;
      Handle& entry = handles_[sweep_from_];
      const StateWord word = slots_[entry].load();
      if (!word.is_over() && !word.is_ruined()) {
        ++sweep_from_;
        continue;
      }
      ended.push_back(entry);
      entry = handles_.back();
      handles_.pop_back();
    }
    count_.store(handles_.size(), std::memory_order_relaxed);     // relaxed: as in add()
    freeing_.fetch_add(ended.size(), std::memory_order_relaxed);  // relaxed: under the lock, as its readers
  }
  for (const Handle handle : ended) free(handle);
  // (2) release-rmw, pairs with (1): they are free.
  if (!ended.empty()) freeing_.fetch_sub(ended.size(), std::memory_order_release);
  return ended.size();
}

inline bool AbandonedTasks::will_make_room(const BlockAllocator& memory, std::size_t bytes) const {
  const std::lock_guard lock(mutex_);
  if (are_being_freed()) return true;
  std::size_t held = 0;
  for (const Handle handle : handles_) {
    const TaskNote* note = slots_.note(handle);  // Nobody gives it back while it is in the list.
    if (note == nullptr) continue;
    held += note->arguments.bytes_of(memory) + note->results.bytes_of(memory);
    if (note->callable) held += note->callable->bytes_of(memory);
  }
  return held != 0 && bytes + memory.was_in_use() <= memory.region().size() + held;
}

}  // namespace procpool::detail
