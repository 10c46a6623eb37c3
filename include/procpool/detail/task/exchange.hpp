// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Where tasks and results change hands: the memory of a pool and what its futures need of it.
///
/// Shared by  made before the first fork; every process has its own copy of this object, and they name the same memory.
/// Crash      it lives in the user's process until the last future and the pool are gone, so a future may outlive its
///            pool.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include <procpool/detail/memory/block_allocator.hpp>
#include <procpool/detail/os/process_identity.hpp>
#include <procpool/detail/result/memory_plan.hpp>
#include <procpool/detail/result/outbox.hpp>
#include <procpool/detail/result/slot_table.hpp>
#include <procpool/detail/result/task_name.hpp>
#include <procpool/detail/task/abandoned_tasks.hpp>
#include <procpool/detail/task/chunk_failures.hpp>
#include <procpool/detail/task/completion_hub.hpp>
#include <procpool/detail/task/condemned_tasks.hpp>
#include <procpool/detail/task/dispatcher.hpp>
#include <procpool/detail/task/retained.hpp>

namespace procpool::detail {

struct ExchangeSizes {
  std::size_t total;             // bytes; 0: chosen from the machine
  std::size_t workers = 1;       // at first
  std::size_t most_workers = 1;  // that there may be
  std::size_t own = 0;           // committed bytes for the pool itself: see pool_part()
  std::size_t rings = 0;         // reserved ones, which workers only read: see ring_part()
};

/// Held by the pool, by each slot in use, and by the dispatch thread.
class Exchange final : public Retained {
 public:
  Exchange(const ExchangeSizes& sizes, const SpinTime& spin);

  /// Taken by every allocate() of a slot. Runs no code of the user's and is never held while waiting.
  std::mutex submit_mutex;

  /// Of a task of this process, so that in its slot none that follows it ever has the same word: who has seen the word
  /// before it was given back, and ends what he has seen, ends no other.
  [[nodiscard]] std::uint64_t next_local_ticket() noexcept {
    return local_tickets_.fetch_add(1, std::memory_order_relaxed);  // relaxed: only to be another than all before
  }

  /// A task has ended in this process: wakes who sleeps on it and tells who watches it. `before` is its last word.
  void announce_end(Handle handle, StateWord before) {
    if (before.is_waited_for()) slots[handle].wake_sleepers();
    if (before.is_watched()) hub.deliver(handle);
  }

  /// Whoever ends a task as Lost says why, before it says that it is.
  void record_loss(Handle handle, std::exception_ptr reason);
  /// Why it is Lost.
  [[nodiscard]] std::exception_ptr loss(Handle handle) const;

  /// Whoever ends a task as Cancelled may say why, before it says that it is. Keeps no copy.
  void record_cancellation(Handle handle, const char* why) {
    const std::lock_guard lock(mutex_);
    slots.make_note(handle).cancellation = why;
  }
  /// Null if there is no more to say than that it is Cancelled.
  [[nodiscard]] const char* cancellation(Handle handle) const {
    const std::lock_guard lock(mutex_);
    const TaskNote* note = slots.note(handle);
    return note != nullptr ? note->cancellation : nullptr;
  }

  /// The value of a task that ran in this process: kept until it is taken or its slot is given back.
  void keep_local(Handle handle, std::shared_ptr<void> value) {
    const std::lock_guard lock(mutex_);
    TaskNote& note = slots.make_note(handle);
    note.local_result = std::move(value);
    note.has_local_result = true;
  }
  /// True if there was one, taken or not.
  [[nodiscard]] bool had_local(Handle handle) const {
    const std::lock_guard lock(mutex_);
    const TaskNote* note = slots.note(handle);
    return note != nullptr && note->has_local_result;
  }
  /// Null if it was taken.
  [[nodiscard]] std::shared_ptr<void> local(Handle handle) const {
    const std::lock_guard lock(mutex_);
    const TaskNote* note = slots.note(handle);
    return note != nullptr ? note->local_result : nullptr;
  }
  [[nodiscard]] std::shared_ptr<void> take_local(Handle handle) {
    const std::lock_guard lock(mutex_);
    TaskNote* note = slots.note(handle);
    return note != nullptr ? std::move(note->local_result) : nullptr;
  }

  /// In hand → Condemned: the supervisor has the worker killed. False if the task is not in hand any more.
  bool condemn(Handle handle, StateWord word) {
    do {
      if (!word.may_be_condemned()) return false;
    } while (!slots[handle].transition(word, word.with_phase(Phase::condemned)));
    condemned.add(word.owner(), handle);
    return true;
  }

  /// Queued → Cancelled, for all; one that waits for space in the ring is asked to stop, and the supervisor ends it.
  void cancel_pending() noexcept;

  /// No task will run any more; those that have not ended fail with `reason`.
  void break_all(const std::exception_ptr& reason);
  [[nodiscard]] std::exception_ptr reason_of_break() const;

  /// Puts a slot whose result nobody will read where the sweeper finds it, unless its task has ended meanwhile.
  /// Takes no memory.
  void abandon(Handle handle) noexcept;

  /// Frees up to `most` abandoned tasks that have ended, and counts their failures. How many
  /// they were. Takes no memory.
  std::size_t sweep(std::size_t most);
  [[nodiscard]] const AbandonedTasks& abandoned() const noexcept { return abandoned_; }
  [[nodiscard]] std::uint64_t dropped_failures() const noexcept {
    return dropped_failures_.load(std::memory_order_relaxed);  // relaxed: a statistic
  }
  /// Of all tasks whose slots were given back, dropped or not.
  [[nodiscard]] std::uint64_t past_failures() const noexcept {
    return past_failures_.load(std::memory_order_relaxed);  // relaxed: a statistic
  }

  /// Gives back result, arguments and slot of a task that is final. The owner, or the sweeper.
  void free_slot(Handle handle, const ResultHeader& result) noexcept;

  /// The same for a result that nobody has read; a failure is counted.
  void discard(Handle handle) noexcept;

  /// The result of a task that is Done, as its worker left it; checked, so that its block may be read.
  [[nodiscard]] ResultHeader read_result(Handle handle) noexcept;

  /// True if the result tells of a failure.
  [[nodiscard]] static bool is_failure(const ResultHeader& result) noexcept {
    return result.kind == ResultKind::exception || result.kind == ResultKind::outbox_exhausted;
  }

  /// True if the task, whose result that is, has ended without a value, and was not cancelled.
  [[nodiscard]] static bool has_failed(StateWord word, const ResultHeader& result) noexcept {
    return word.phase() == Phase::lost || word.is_overdue() || is_failure(result);
  }

  /// A worker, before it runs anything of the user's: from now on it can only read what others alone may write.
  void guard_what_workers_read() const noexcept {
    mapping.make_read_only(ring_part(), plan_.rings);
    mapping.make_read_only(arguments.region().begin(), arguments.region().size());
  }

  [[nodiscard]] std::byte* pool_part() const noexcept { return pool_part_; }
  [[nodiscard]] std::byte* ring_part() const noexcept { return mapping.begin() + plan_.fixed; }
  [[nodiscard]] CompletionRing& completions(std::size_t worker) const noexcept { return rings_[worker]; }

 private:
  ~Exchange() override = default;

  void free_chunk(const TaskNote& note) noexcept;

  [[nodiscard]] std::byte* carve(std::size_t bytes) noexcept {
    std::byte* part = mapping.begin() + carved_;
    carved_ += (bytes + 63) / 64 * 64;
    return part;
  }

  MemoryPlan plan_;
  std::size_t carved_ = 0;

 public:
  const HomeProcess home;
  SpinTime spin;  // before a wait becomes a sleep
  SharedMapping mapping;

 private:
  std::byte* pool_part_;
  ResultSignal* signal_;
  CompletionRing* rings_;

 public:
  Outbox outbox;
  SlotTable slots;
  BlockAllocator arguments;
  BlockAllocator data;
  Naps naps;
  CompletionHub hub;
  Dispatcher dispatcher;
  CondemnedTasks condemned;

  [[nodiscard]] ResultSignal& signal() const noexcept { return *signal_; }

 private:
  static std::size_t fixed_part(const ExchangeSizes& sizes) noexcept {
    return sizes.own + sizeof(ResultSignal) + sizes.most_workers * sizeof(CompletionRing) + Outbox::table_size + 256;
  }

  mutable std::mutex mutex_;
  std::exception_ptr reason_of_break_;  // under the mutex
  AbandonedTasks abandoned_;
  std::atomic<std::uint64_t> dropped_failures_{0};
  std::atomic<std::uint64_t> past_failures_{0};
  std::atomic<std::uint64_t> local_tickets_{1};  // a fresh slot says 0
};

inline Exchange::Exchange(const ExchangeSizes& sizes, const SpinTime& spin_time)
    : plan_(MemoryPlan::divide(sizes.total, sizes.workers, fixed_part(sizes), sizes.rings)), spin(spin_time),
      mapping(plan_.total()),
      pool_part_(mapping.commit(mapping.begin(), plan_.fixed)
                     ? carve(sizes.own)
                     : throw SharedMemoryExhausted("the system has no memory for the pool's " +
                                                   std::to_string(plan_.fixed) + " bytes of bookkeeping")),
      signal_(::new(static_cast<void*>(carve(sizeof(ResultSignal)))) ResultSignal),
      rings_(reinterpret_cast<CompletionRing*>(carve(sizes.most_workers * sizeof(CompletionRing)))),
      outbox(mapping, carve(Outbox::table_size), mapping.begin() + plan_.total() - plan_.outbox, plan_.outbox),
      slots(mapping, ring_part() + plan_.rings, plan_.slots / sizeof(Slot)),
      arguments(mapping, ring_part() + plan_.rings + plan_.slots, plan_.arguments),
      data(mapping, ring_part() + plan_.rings + plan_.slots + plan_.arguments, plan_.data), naps(spin, *signal_),
      hub(slots, rings_, sizes.workers, *signal_, naps), dispatcher(*this, hub), condemned(sizes.most_workers),
      abandoned_(slots) {
  for (std::size_t i = 0; i < sizes.most_workers; ++i) ::new (static_cast<void*>(&rings_[i])) CompletionRing;
}

inline void Exchange::record_loss(Handle handle, std::exception_ptr reason) {
  const std::lock_guard lock(mutex_);
  slots.make_note(handle).loss = std::move(reason);
}

inline std::exception_ptr Exchange::loss(Handle handle) const {
  const std::lock_guard lock(mutex_);
  const TaskNote* note = slots.note(handle);
  if (note != nullptr && note->loss) return note->loss;
  if (reason_of_break_) return reason_of_break_;
  return std::make_exception_ptr(damage("the record of ", name_of(note), "was damaged"));
}

inline std::exception_ptr Exchange::reason_of_break() const {
  const std::lock_guard lock(mutex_);
  return reason_of_break_;
}

inline void Exchange::break_all(const std::exception_ptr& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (!reason_of_break_) reason_of_break_ = reason;
  }
  for (Handle handle = 0; handle < slots.was_used(); ++handle) {
    StateWord word = slots[handle].load();
    while (!word.is_over() && slots.was_in_use(handle)) {
      // It runs in this process and will end; or it ended.
      if (slots.is_local(handle) || word.phase() == Phase::free) break;
      if (!slots[handle].transition(word, word.with_phase(Phase::lost))) continue;
      announce_end(handle, word);
      break;
    }
  }
}

inline void Exchange::cancel_pending() noexcept {
  for (Handle handle = 0; handle < slots.was_used(); ++handle) {
    StateWord word = slots[handle].load();
    while (word.phase() == Phase::queued || word.is_out_of_ring()) {
      const StateWord wanted = word.is_out_of_ring() ? word.with_stop() : word.with_phase(Phase::cancelled);
      if (!slots[handle].transition(word, wanted)) continue;
      if (wanted.is_over()) announce_end(handle, word);
      break;
    }
  }
}

/// A task that has ended meanwhile is freed here: its pool may have gone, and then nobody sweeps any more.
inline void Exchange::abandon(Handle handle) noexcept {
  if (!abandoned_.add(handle)) discard(handle);
}

inline std::size_t Exchange::sweep(std::size_t most) {
  return abandoned_.sweep(most, [this](Handle handle) { discard(handle); });
}

inline void Exchange::discard(Handle handle) noexcept {
  const StateWord last = slots[handle].load();
  const ResultHeader result = last.phase() == Phase::done ? read_result(handle) : ResultHeader{};
  const TaskNote* note = slots.note(handle);
  const bool was_read = note != nullptr && note->was_read.load(std::memory_order_relaxed);  // relaxed: by an owner
  // relaxed: a statistic
  if (!was_read && has_failed(last, result)) dropped_failures_.fetch_add(1, std::memory_order_relaxed);
  free_slot(handle, result);
}

inline ResultHeader Exchange::read_result(Handle handle) noexcept {
  if (slots.is_local(handle)) return {0, 0, ResultKind::local};
  Slot& slot = slots[handle];
  LockResult lock = slot.mutex.try_lock_reporting();
  // Only another reader in this process can hold it for a moment: the task is Done.
  for (int patience = 0; lock == LockResult::busy && patience < 1000; ++patience) {
    ::sched_yield();
    lock = slot.mutex.try_lock_reporting();
  }
  const ResultHeader result = slot.result;
  if (lock == LockResult::acquired || lock == LockResult::acquired_from_dead_owner) slot.mutex.unlock();
  // A wild write of some worker's ruined it. One that only looks held is left to the next worker: it may be held here.
  if (lock == LockResult::damaged) slot.mutex.initialize();
  return result;
}

inline void Exchange::free_chunk(const TaskNote& note) noexcept {
  for_each_failure(outbox, note, [this](const FailureRecord&, const std::byte* block) { outbox.give_back(block); });
  if (!note.has_item_blocks) return;
  const auto& header = *reinterpret_cast<const ChunkHeader*>(note.results.data());
  const auto* items = reinterpret_cast<const ItemBlock*>(&header + 1);
  // (1) acquire-load, pairs with (1) of chunk_call.hpp, (3) of repair.hpp: the blocks of the items below it, even if
  // the pool was broken while a worker still filled the chunk.
  const std::size_t finished = std::min<std::size_t>(header.finished.load(std::memory_order_acquire), note.items);
  for (std::size_t i = 0; i < finished; ++i) {
    const ItemBlock item = items[i];  // A copy stays as it was checked.
    const auto* block = std::bit_cast<const std::byte*>(item.address);
    if (block != nullptr && outbox.holds(block, item.size)) outbox.give_back(block);
  }
}

inline void Exchange::free_slot(Handle handle, const ResultHeader& result) noexcept {
  if (const TaskNote* note = slots.note(handle); note != nullptr && note->items > 0) free_chunk(*note);
  const bool has_block = result.kind == ResultKind::value || result.kind == ResultKind::exception;
  if (has_block) {
    const auto* block = std::bit_cast<const std::byte*>(result.word);
    if (outbox.holds(block, result.size)) outbox.give_back(block);
  }
  const StateWord last = slots[handle].load();
  // relaxed: a statistic
  if (has_failed(last, result)) past_failures_.fetch_add(1, std::memory_order_relaxed);
  slots[handle].store(StateWord(0));
  // Its worker may be alive, for the pool has only just been broken, and about to publish: no other task comes here.
  const bool may_be_written = last.phase() == Phase::lost && last.owner() != no_worker && reason_of_break();
  if (may_be_written) slots.retire(handle);
  else slots.release(handle);
  release();
}

}  // namespace procpool::detail
