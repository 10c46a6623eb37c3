// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The tasks that nobody waits for any more: each keeps its slot until it has ended and was swept.
///
/// Shared by  the threads of the user's process.
/// Progress   blocking among them; no code of the user's runs under the lock.
/// Crash      it dies with the user's process only.

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <span>
#include <vector>

#include <procpool/detail/memory/block_allocator.hpp>
#include <procpool/detail/result/slot_table.hpp>
#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

class AbandonedTasks {
 public:
  /// Reserves an entry for each slot, of which only those used cost memory. Throws SharedMemoryExhausted if this
  /// process may not have them.
  explicit AbandonedTasks(const SlotTable& slots);

  /// False if the task has ended meanwhile: the caller frees it. Takes no memory, for destructors call it.
  [[nodiscard]] bool add(Handle handle) noexcept;

  /// Looks at up to `most` of them, calls `free(handle)`, without the lock, for each that has ended, and says for how
  /// many. Takes no memory.
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
  [[nodiscard]] std::size_t take_ended(std::span<Handle> ended, std::size_t& left);
  [[nodiscard]] bool are_being_freed() const noexcept {
    // (1) acquire-load, pairs with (2): what those that are counted no more have held is free.
    return freeing_.load(std::memory_order_acquire) != 0;
  }

  const SlotTable& slots_;
  mutable std::mutex mutex_;
  std::vector<Handle> handles_;          // under the mutex, as the next one; each slot at most once
  std::size_t sweep_from_ = 0;           // where the next sweep goes on
  std::atomic<std::size_t> count_{0};    // of the handles, so that a submit need not lock to find none
  std::atomic<std::size_t> freeing_{0};  // taken out of the list, and not yet free; raised under the mutex
};

inline AbandonedTasks::AbandonedTasks(const SlotTable& slots) : slots_(slots) {
  try {
    handles_.reserve(slots.capacity());
  } catch (const std::bad_alloc&) {
    throw SharedMemoryExhausted(bookkeeping_refused(slots.capacity() * sizeof(Handle)));
  }
}

inline bool AbandonedTasks::add(Handle handle) noexcept {
  const std::lock_guard lock(mutex_);
  if (slots_[handle].load().is_over()) return false;
  handles_.push_back(handle);                                // There is room: see the constructor.
  count_.store(handles_.size(), std::memory_order_relaxed);  // relaxed: a hint for sweep()
  return true;
}

template <class Free>
std::size_t AbandonedTasks::sweep(std::size_t most, Free free) {
  // The sweep of everything asks under the lock: after the last of a pool's, add() finds that all has ended.
  if (most != SIZE_MAX && count() == 0) return 0;
  std::array<Handle, 64> ended;
  std::size_t freed = 0;
  std::unique_lock lock(mutex_);
  for (std::size_t left = std::min(most, handles_.size()); left > 0;) {
    const std::size_t found = take_ended(ended, left);
    lock.unlock();
    for (std::size_t i = 0; i < found; ++i) free(ended[i]);
    // (2) release-rmw, pairs with (1): they are free.
    if (found != 0) freeing_.fetch_sub(found, std::memory_order_release);
    freed += found;
    if (left > 0) lock.lock();
  }
  return freed;
}

/// Under the lock: looks at up to `left` entries, which it counts down, until `ended` is full. How many it holds.
inline std::size_t AbandonedTasks::take_ended(std::span<Handle> ended, std::size_t& left) {
  std::size_t found = 0;
  for (; left > 0 && found < ended.size(); --left) {
    if (handles_.empty()) {
      left = 0;
      break;
    }
    if (sweep_from_ >= handles_.size()) sweep_from_ = 0;
    Handle& entry = handles_[sweep_from_];
    const StateWord word = slots_[entry].load();
    if (!word.is_over() && !word.is_ruined()) {
      ++sweep_from_;
      continue;
    }
    ended[found++] = entry;
    entry = handles_.back();
    handles_.pop_back();
  }
  count_.store(handles_.size(), std::memory_order_relaxed);  // relaxed: as in add()
  freeing_.fetch_add(found, std::memory_order_relaxed);      // relaxed: under the lock, as its readers
  return found;
}

inline bool AbandonedTasks::will_make_room(const BlockAllocator& memory, std::size_t bytes) const {
  if (bytes > memory.region().size()) return false;
  const std::lock_guard lock(mutex_);
  if (are_being_freed()) return true;
  std::size_t held = 0;
  double shared = 0;  // by the chunks of a map, or by all who hold an array: each counts its share
  for (const Handle handle : handles_) {
    const TaskNote* note = slots_.note(handle);  // Nobody gives it back while it is in the list.
    if (note == nullptr) continue;
    held += note->arguments.bytes_of(memory) + note->results.bytes_of(memory);
    if (note->callable) {
      shared += static_cast<double>(note->callable->bytes_of(memory)) / static_cast<double>(note->callable.use_count());
    }
    if (note->kept) shared += note->kept->bytes_of(memory) / static_cast<double>(note->kept.use_count());
  }
  held += static_cast<std::size_t>(std::ceil(shared));
  return held != 0 && bytes + memory.was_in_use() <= memory.region().size() + held;
}

}  // namespace procpool::detail
