// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A bounded ring of {position, handle} words, through which queued tasks are found in order.
///
/// Shared by  the user's process, whose threads publish one at a time, and the workers, who look and pass. Only the
///            head and the cells are shared; each process has its own copy of Ring, and the publisher's alone knows the
///            tail.
/// Progress   publish and peek are wait-free, pass is lock-free.
/// Crash      a cell owns nothing: the slot it names says whether its task is still queued. A worker that dies between
///            claiming a task and passing its cell leaves a dead cell, which anyone passes. Workers cannot write to
///            cells; a wild write to the head hides tasks until the publisher's process has walked the ring
///            (ring_walk.hpp).

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace procpool::detail {

/// Names a slot: its index in the slot table.
using Handle = std::uint32_t;
inline constexpr int handle_bits = 24;
inline constexpr int ticket_bits = 40;
inline constexpr std::uint64_t ticket_mask = (std::uint64_t{1} << ticket_bits) - 1;

/// What a cell holds: the low 40 bits of the position it was published at, and the slot of the task.
struct Cell {
  std::uint64_t bits = 0;

  Cell() = default;
  explicit Cell(std::uint64_t raw) noexcept : bits(raw) {}
  Cell(std::uint64_t position, Handle handle) noexcept : bits((position & ticket_mask) << handle_bits | handle) {}

  [[nodiscard]] std::uint64_t ticket() const noexcept { return bits >> handle_bits; }
  [[nodiscard]] Handle handle() const noexcept { return static_cast<Handle>(bits & ((1U << handle_bits) - 1)); }

  /// Below zero: published on an earlier lap or never; zero: at `position`; above: on a later lap.
  [[nodiscard]] std::int64_t distance_from(std::uint64_t position) const noexcept {
    return static_cast<std::int64_t>((ticket() - position) << (64 - ticket_bits)) >> (64 - ticket_bits);
  }
};

class Ring {
 public:
  using Word = std::atomic<std::uint64_t>;
  static_assert(Word::is_always_lock_free, "a lock would not be address-free");

  /// Cells that a ring of this capacity needs; the caller provides them zeroed, in shared memory.
  [[nodiscard]] static std::size_t cells_for(std::size_t capacity) noexcept { return std::bit_ceil(capacity); }

  /// Positions start at `first`: at one lap or above, so that a zeroed cell lies below all of them.
  Ring(Word& head, Word* cells, std::size_t capacity, std::uint64_t first) noexcept
      : head_(head), tail_(first), cells_(cells), mask_(cells_for(capacity) - 1), capacity_(capacity) {
    head_.store(first, std::memory_order_relaxed);  // relaxed: not shared yet
  }
  Ring(Word& head, Word* cells, std::size_t capacity) noexcept : Ring(head, cells, capacity, cells_for(capacity)) {}
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // The submitter, under the submit lock.

  /// The position that the next publish() will use.
  [[nodiscard]] std::uint64_t next_position() const noexcept {
    return tail_.load(std::memory_order_relaxed);  // relaxed: the caller alone writes it, under the submit lock
  }

  /// True if `capacity` cells lie between head and tail. The head is a hint: walk it before waiting for space.
  [[nodiscard]] bool was_full() noexcept {
    const std::uint64_t size = next_position() - head();
    // No cell is just being published, so a head beyond the tail is ruined, be it by one. Full until the walk.
    if (size > mask_ + 1) static_cast<void>(mend_head(0));
    return size >= capacity_;
  }

  /// Where the head must come to for `count` free cells: it does once the tasks are claimed that are published by now,
  /// for it is not beyond the tail.
  [[nodiscard]] std::uint64_t head_with_free(std::size_t count) const noexcept {
    return next_position() - capacity_ + count;
  }

  /// Shows the task in slot `handle`, whose state is Queued with ticket next_position(), to the workers. Only when not
  /// full.
  void publish(Handle handle) noexcept {
    const std::uint64_t position = next_position();
    // (1) seq_cst-store, pairs with (3): the state of the slot is visible to whoever peeks the cell. Also the store of
    // the lemma "publish / looking": see PoolLayout::wake_one().
    cells_[position & mask_].store(Cell(position, handle).bits, std::memory_order_seq_cst);
    // (5) release-store, pairs with (6): who sees the new tail sees the cell.
    tail_.store(position + 1, std::memory_order_release);
  }

  // Any thread of the publisher's process.

  /// True if `cell` was published and is not yet overwritten.
  [[nodiscard]] bool holds(Cell cell) const noexcept {
    return cells_[cell.ticket() & mask_].load(std::memory_order_relaxed) == cell.bits;  // relaxed: only compared
  }

  /// True if a worker that comes to `cell` will find it: the head is not beyond it, and it is as it was published.
  [[nodiscard]] bool leads_to(Cell cell) const noexcept;

  /// True if publish() has filled the cell at `position`, some time ago.
  [[nodiscard]] bool was_published(std::uint64_t position) const noexcept {
    // (6) acquire-load, pairs with (5): the cells below it.
    return static_cast<std::int64_t>(tail_.load(std::memory_order_acquire) - position) > 0;
  }

  /// Puts a head that was ruined back by a lap: every task that may still wait is found again. True if it was ruined.
  /// To whoever is not the submitter a sound head may be one beyond the tail: a worker has passed a cell that is just
  /// being published. From the submitter, `least` is 0.
  bool mend_head(std::int64_t least = -1) noexcept;

  // Anyone.

  [[nodiscard]] std::uint64_t head() const noexcept {
    // (2) seq_cst-load, pairs with (4): cells below it were dead when it was moved.
    return head_.load(std::memory_order_seq_cst);
  }

  /// The cell at `position`, if it was published and not lapped.
  [[nodiscard]] std::optional<Cell> peek(std::uint64_t position) const noexcept {
    // (3) seq_cst-load, pairs with (1): the slot's state was written before the cell.
    const Cell cell(cells_[position & mask_].load(std::memory_order_seq_cst));
    if (cell.distance_from(position) != 0) return std::nullopt;
    return cell;
  }

  /// True if the cell at `position` belongs to a later lap: the head that led there was stale, or the cell is ruined.
  [[nodiscard]] bool was_lapped(std::uint64_t position) const noexcept {
    const Cell cell(cells_[position & mask_].load(std::memory_order_relaxed));  // relaxed: a hint to reload the head
    return cell.distance_from(position) > 0;
  }

  /// Moves the head beyond `position`, whose cell is dead. Maximum of all callers, so a late one does no harm.
  void pass(std::uint64_t position) noexcept {
    std::uint64_t now = head_.load(std::memory_order_relaxed);  // relaxed: the exchange below checks it
    while (static_cast<std::int64_t>(now - position) <= 0) {
      // (4) seq_cst-rmw, pairs with (2): a submitter that waits for space sees the head it was promised. relaxed: what
      // a failure reads is checked by the next exchange.
      if (head_.compare_exchange_weak(now, position + 1, std::memory_order_seq_cst, std::memory_order_relaxed)) return;
    }
  }

  /// Cells between head and tail at some moment during the call, dead ones included.
  [[nodiscard]] std::size_t was_size() const noexcept {
    const std::uint64_t from = head_.load(std::memory_order_relaxed);  // relaxed: the answer is racy anyway
    const std::uint64_t to = tail_.load(std::memory_order_relaxed);    // relaxed: as above
    return static_cast<std::int64_t>(to - from) > 0 ? static_cast<std::size_t>(to - from) : 0;
  }

  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  Word& head_;   // shared; raised by anyone who found the cell below it dead
  Word tail_;    // private; written by the submitter, read racily by observers in its process
  Word* cells_;  // shared
  std::uint64_t mask_;
  std::size_t capacity_;
};

inline bool Ring::leads_to(Cell cell) const noexcept {
  if (!holds(cell)) return false;
  const std::uint64_t from = head_.load(std::memory_order_relaxed);  // relaxed: a hint
  return cell.distance_from(from) >= 0 && was_published(from + static_cast<std::uint64_t>(cell.distance_from(from)));
}

inline bool Ring::mend_head(std::int64_t least) noexcept {
  const auto lap = static_cast<std::int64_t>(mask_ + 1);
  std::uint64_t now = head();
  for (;;) {  // A worker may go on from the ruined head at the same time.
    const std::uint64_t tail = next_position();
    const auto ahead = static_cast<std::int64_t>(tail - now);
    if (ahead >= least && ahead <= lap) return false;
    // relaxed: whatever follows from the head is checked against the cells and the slots.
    if (head_.compare_exchange_strong(now, tail - static_cast<std::uint64_t>(lap), std::memory_order_relaxed)) {
      return true;
    }
  }
}

}  // namespace procpool::detail
