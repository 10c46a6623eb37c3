// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// All slots of a pool, and which of them are free.
///
/// Shared by  slots by everyone; the free list is in the private memory of the user's process.
/// Progress   release is lock-free; allocate is called under the submit lock.
/// Crash      workers own no part of the free list, so none can lose a slot.

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>

#include <procpool/detail/memory/region.hpp>
#include <procpool/detail/result/slot.hpp>
#include <procpool/detail/result/task_note.hpp>
#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

[[nodiscard, gnu::cold]] inline std::string bookkeeping_refused(std::size_t bytes) {
  return "the system refuses a pool " + std::to_string(bytes) +
         " bytes of bookkeeping; set PoolOptions::shared_memory to less";
}

class SlotTable {
 public:
  /// Throws SharedMemoryExhausted if this process may not have a private word for each slot.
  SlotTable(const SharedMapping& mapping, std::byte* begin, std::size_t slots)
      : region_(mapping, begin, slots * sizeof(Slot)), slots_(reinterpret_cast<Slot*>(begin)), capacity_(slots),
        private_(static_cast<Private*>(std::malloc(slots * sizeof(Private)))) {
    if (private_ == nullptr) {
      throw SharedMemoryExhausted(bookkeeping_refused(slots * sizeof(Private)));
    }
  }

  [[nodiscard]] Slot& operator[](Handle handle) const noexcept { return slots_[handle]; }
  [[nodiscard]] bool contains(Handle handle) const noexcept { return handle < was_used(); }

  /// Slots that have ever been in use, at some moment during the call: the ones a scan must look at.
  [[nodiscard]] std::size_t was_used() const noexcept {
    // (1) acquire-load, pairs with (2): the slots below it are constructed.
    return used_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  /// A free slot, under the submit lock. Empty: all are in use, or the system has no memory.
  [[nodiscard]] std::optional<Handle> allocate();

  /// Gives back a slot whose state is Free, and its note. Any thread of the user's process.
  void release(Handle handle) noexcept;

  /// The same, but no task will ever come to the slot again.
  void retire(Handle handle) noexcept {
    delete_note(handle);
    private_[handle].store(none, std::memory_order_relaxed);  // relaxed: nobody follows it
  }

  /// Held by who is no owner of a slot while he reads its note: as long as he finds that a worker has the task in hand.
  /// No code of the user's runs under it.
  [[nodiscard]] std::mutex& note_guard() const noexcept { return note_guard_; }

  /// What this process alone knows of the task in the slot; null if nothing, or if the slot is free.
  [[nodiscard]] TaskNote* note(Handle handle) const noexcept {
    // (5) acquire-load, pairs with (6), (7), (8): the note is constructed.
    const std::uintptr_t word = private_[handle].load(std::memory_order_acquire);
    return is_link(word) ? nullptr : std::bit_cast<TaskNote*>(word & ~local_bits);
  }

  /// True if the slot was allocated and not yet released, at some moment during the call. Unlike the slot's state, no
  /// worker's wild write can change it.
  [[nodiscard]] bool was_in_use(Handle handle) const noexcept {
    return !is_link(private_[handle].load(std::memory_order_relaxed));  // relaxed: racy by nature
  }

  /// The note of a slot in use, made if there is none. Any owner of the slot, at the same time as others.
  TaskNote& make_note(Handle handle);
  void set_note(Handle handle, std::unique_ptr<TaskNote> note) noexcept {
    // (6) release-store, pairs with (5), (7): the supervisor may read it at any time.
    private_[handle].store(std::bit_cast<std::uintptr_t>(note.release()), std::memory_order_release);
  }

  // A task that runs in this process. No worker's wild write can change what is said of it here.

  /// As set_note(), of such a task.
  void set_local_note(Handle handle, std::unique_ptr<TaskNote> note) noexcept {
    const std::uintptr_t address = std::bit_cast<std::uintptr_t>(note.release());
    // (8) release-store, pairs with (5): as (6).
    private_[handle].store(address | local_bit, std::memory_order_release);
  }
  [[nodiscard]] bool is_local(Handle handle) const noexcept {
    return has_bit(private_[handle].load(std::memory_order_relaxed), local_bit);  // relaxed: constant while in use
  }

  /// Whoever ends it, and the last owner of its future: the second of the two, who is told so by true, frees the slot.
  [[nodiscard]] bool leave_local(Handle handle, bool has_ended) noexcept {
    // (9) acq_rel-rmw, pairs with (9), (10): what the first has written is visible to the second.
    const std::uintptr_t before =
        private_[handle].fetch_or(has_ended ? left_bit | ended_bit : left_bit, std::memory_order_acq_rel);
    return (before & left_bit) != 0;
  }
  [[nodiscard]] bool has_ended_locally(Handle handle) const noexcept {
    // (10) acquire-load, pairs with (9): the last change of the slot's state is visible.
    return has_bit(private_[handle].load(std::memory_order_acquire), ended_bit);
  }

 private:
  // Of a slot in use: the address of its note, or 0, with the bits of a local task. Of a free one: a link to the slot
  // behind it in whichever list it is in. Links are odd, addresses are not.
  using Private = std::atomic<std::uintptr_t>;

  static constexpr std::uintptr_t none = ~std::uintptr_t{0};
  [[nodiscard]] static constexpr std::uintptr_t link_to(Handle handle) noexcept {
    return std::uintptr_t{handle} << 1 | 1;
  }
  [[nodiscard]] static constexpr bool is_link(std::uintptr_t word) noexcept { return (word & 1) != 0; }
  [[nodiscard]] static constexpr Handle target_of(std::uintptr_t link) noexcept {
    return static_cast<Handle>(link >> 1);
  }
  static constexpr std::uintptr_t local_bit = 2;
  static constexpr std::uintptr_t left_bit = 4;   // it has ended, or its future has gone
  static constexpr std::uintptr_t ended_bit = 8;  // it has ended
  static constexpr std::uintptr_t local_bits = local_bit | left_bit | ended_bit;
  static_assert(__STDCPP_DEFAULT_NEW_ALIGNMENT__ > local_bits, "the address of a note ends in zeros");

  [[nodiscard]] static constexpr bool has_bit(std::uintptr_t word, std::uintptr_t bit) noexcept {
    return !is_link(word) && (word & bit) != 0;
  }

  /// One that never was in use.
  [[nodiscard, gnu::cold]] std::optional<Handle> make_slot();
  void delete_note(Handle handle) noexcept;

  mutable std::mutex note_guard_;
  Region region_;
  Slot* slots_;
  std::size_t capacity_;
  struct Free {
    void operator()(Private* memory) const noexcept { std::free(memory); }
  };
  // Constructed one by one, as the slots are, so that only those used cost memory.
  std::unique_ptr<Private[], Free> private_;
  std::uintptr_t local_ = none;                             // list of allocate(), under the submit lock
  std::atomic<std::size_t> used_{0};                        // raised by allocate()
  alignas(64) std::atomic<std::uintptr_t> returned_{none};  // list of release(), taken whole by allocate()
};

inline std::optional<Handle> SlotTable::allocate() {
  if (local_ == none) {
    // (3) acquire-rmw, pairs with (4): the links of the returned slots are visible.
    local_ = returned_.exchange(none, std::memory_order_acquire);
  }
  if (local_ == none) return make_slot();
  const Handle handle = target_of(local_);
  local_ = private_[handle].load(std::memory_order_relaxed);              // relaxed: ordered by (3)
  private_[handle].store(0, std::memory_order_relaxed);                   // relaxed: published with the task
  if (local_ != none) __builtin_prefetch(&slots_[target_of(local_)], 1);  // The next submit writes there.
  return handle;
}

inline std::optional<Handle> SlotTable::make_slot() {
  const std::size_t fresh = used_.load(std::memory_order_relaxed);  // relaxed: written under the same lock
  if (fresh == capacity_ || !region_.ensure((fresh + 1) * sizeof(Slot))) return std::nullopt;
  ::new (static_cast<void*>(&slots_[fresh])) Slot;
  ::new (static_cast<void*>(&private_[fresh])) Private(0);
  // (2) release-store, pairs with (1): the slot is constructed before a scan reaches it.
  used_.store(fresh + 1, std::memory_order_release);
  return static_cast<Handle>(fresh);
}

inline TaskNote& SlotTable::make_note(Handle handle) {
  if (TaskNote* found = note(handle)) return *found;
  auto fresh = std::make_unique<TaskNote>();
  std::uintptr_t first = 0;
  // (7) acq_rel-rmw, pairs with (5), (6): the note is constructed, be it this one or another owner's.
  if (private_[handle].compare_exchange_strong(first, std::bit_cast<std::uintptr_t>(fresh.get()),
                                               std::memory_order_acq_rel, std::memory_order_acquire)) {
    return *fresh.release();
  }
  return *std::bit_cast<TaskNote*>(first & ~local_bits);
}

/// Whoever takes the guard later finds that the task is over; whoever has taken it before has read the note.
inline void SlotTable::delete_note(Handle handle) noexcept {
  TaskNote* const gone = note(handle);
  if (gone == nullptr) return;
  { const std::lock_guard lock(note_guard_); }
  delete gone;
}

inline void SlotTable::release(Handle handle) noexcept {
  delete_note(handle);
  std::uintptr_t first = returned_.load(std::memory_order_relaxed);  // relaxed: the exchange below checks it
  do {
    private_[handle].store(first, std::memory_order_relaxed);  // relaxed: published by (4)
    // (4) release-rmw, pairs with (3): the link is visible to whoever takes the list. relaxed: what a failure reads is
    // only linked to, by the next turn.
  } while (
      !returned_.compare_exchange_weak(first, link_to(handle), std::memory_order_release, std::memory_order_relaxed));
}

}  // namespace procpool::detail
