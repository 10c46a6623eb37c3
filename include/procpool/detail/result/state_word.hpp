// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The one word that owns a task: phase, flags, owner and ticket of a slot.
///
///         fill          claim           start           publish          take
///  Free ───────▶ Queued ───────▶ Claimed ───────▶ Running ───────▶ Done ───────▶ Free
///      submitter   │     worker    │     worker     │ │    worker        owner of the future, or the sweeper
///                  │ cancel:       │                │ │ condemn: the future's owner, by kill(), or the supervisor,
///                  │ the future's  │                │ ▼ at a deadline
///                  │ owner         │ recall         │ Condemned
///                  ▼               ├──▶ Recalled    │ │
///              Cancelled           │        │       │ │
///                  │ take          └────────┼───────┴─┘ worker dead
///                  ▼                        ▼
///                Free              supervisor alone: Queued again with a fresh ticket, Done (a chunk whose last item
///                                  it was), Cancelled (killed, or not wanted any more), or Lost ──take──▶ Free
///
/// fill     PoolCore::enqueue, post    claim   Worker::claim    start   Worker::run    publish   Worker::publish
/// cancel   ResultHandle::cancel, Exchange::cancel_pending      take    ResultHandle::drop, Exchange::sweep
/// condemn  Exchange::condemn, of a Recalled one too; the worker touches the slot no more and waits to be killed
/// recall   Deadlines::recall, when a worker does not start for long what it has claimed; it waits as above, and the
///          task has not begun
/// requeue  Repair::requeue, post_again; Done, Cancelled or Lost   Repair::lose_item, cancel, end; Exchange::break_all;
///          from Queued too: Lost by Deadlines::end_waiting, and, Claimed by nobody in between, Cancelled by
///          Repair::empty_mailbox
///
/// A task that is Overdue (a flag, set by the supervisor at the deadline) has failed for its future; the slot is taken
/// when its worker has ended it or has died.
///
/// Every transition after Queued is a compare-and-swap of the whole word, so that a flag set at the same time is never
/// overwritten. A task that runs in the user's own process (the continuation of a future) is Running without an owner;
/// if its future is dropped before it ends, the thread that ends it frees the slot.

#include <cstdint>

#include <procpool/detail/ring/ring.hpp>

namespace procpool::detail {

enum class Phase : std::uint8_t { free, queued, claimed, recalled, running, condemned, done, cancelled, lost };

/// The index of a worker's row.
using WorkerIndex = std::uint32_t;
inline constexpr WorkerIndex no_worker = 0xFFF;  // 12 bits
inline constexpr int max_workers = 0xFFF;

class StateWord {
 public:
  explicit constexpr StateWord(std::uint64_t raw) noexcept : bits_(raw) {}

  static constexpr StateWord queued(std::uint64_t ticket) noexcept {
    return StateWord((ticket & ticket_mask) << ticket_shift | std::uint64_t{no_worker} << owner_shift |
                     std::uint64_t(Phase::queued));
  }

  [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
  [[nodiscard]] constexpr Phase phase() const noexcept { return static_cast<Phase>(bits_ & phase_mask); }
  [[nodiscard]] constexpr WorkerIndex owner() const noexcept {
    return static_cast<WorkerIndex>(bits_ >> owner_shift & no_worker);
  }
  [[nodiscard]] constexpr std::uint64_t ticket() const noexcept { return bits_ >> ticket_shift; }

  /// A waiter sleeps on this word: whoever ends the task wakes it.
  [[nodiscard]] constexpr bool is_waited_for() const noexcept { return (bits_ & waiting_bit) != 0; }
  /// Whoever ends the task reports it to the completion ring.
  [[nodiscard]] constexpr bool is_watched() const noexcept { return (bits_ & notify_bit) != 0; }
  [[nodiscard]] constexpr bool is_asked_to_stop() const noexcept { return (bits_ & stop_bit) != 0; }
  /// It is for one worker alone, and waits in its mailbox. Not what its ticket says: a ring's may grow that large.
  [[nodiscard]] constexpr bool is_posted() const noexcept { return (bits_ & posted_flag) != 0; }
  /// It has run too long: its future has failed, though a worker may still be at it.
  [[nodiscard]] constexpr bool is_overdue() const noexcept { return (bits_ & overdue_flag) != 0; }
  /// A worker has it in hand.
  [[nodiscard]] constexpr bool is_in_hand() const noexcept {
    return phase() >= Phase::claimed && phase() <= Phase::condemned;
  }
  /// A worker has it in hand, and has not started it.
  [[nodiscard]] constexpr bool is_unstarted() const noexcept {
    return phase() == Phase::claimed || phase() == Phase::recalled;
  }
  /// A worker has it in hand, and was not condemned for it before.
  [[nodiscard]] constexpr bool may_be_condemned() const noexcept {
    return (is_unstarted() || phase() == Phase::running) && owner() != no_worker;
  }
  /// Its worker touches it no more, and waits to be killed.
  [[nodiscard]] constexpr bool dooms_worker() const noexcept {
    return phase() == Phase::recalled || phase() == Phase::condemned;
  }
  /// Its worker has died, and the ring to queue it again has no space yet. One that is asked to stop meanwhile never
  /// comes to the ring.
  [[nodiscard]] constexpr bool is_out_of_ring() const noexcept {
    return phase() == Phase::claimed && owner() == no_worker;
  }
  /// The task will not change any more, but for being taken.
  [[nodiscard]] constexpr bool is_over() const noexcept { return phase() >= Phase::done && phase() <= Phase::lost; }
  /// What its future gives will not change any more.
  [[nodiscard]] constexpr bool is_final() const noexcept { return is_over() || (is_in_hand() && is_overdue()); }

  /// A slot in use never says this: a wild write of some worker's has ruined the word.
  [[nodiscard]] constexpr bool is_ruined() const noexcept { return phase() == Phase::free || phase() > Phase::lost; }

  [[nodiscard]] constexpr StateWord with_phase(Phase phase) const noexcept {
    return StateWord((bits_ & ~phase_mask) | std::uint64_t(phase));
  }
  [[nodiscard]] constexpr StateWord with_owner(WorkerIndex owner) const noexcept {
    return StateWord((bits_ & ~(std::uint64_t{no_worker} << owner_shift)) | std::uint64_t{owner} << owner_shift);
  }
  [[nodiscard]] constexpr StateWord with_ticket(std::uint64_t ticket) const noexcept {
    return StateWord((bits_ & ~(ticket_mask << ticket_shift)) | (ticket & ticket_mask) << ticket_shift);
  }
  /// How often the task was queued again without having started; saturates.
  [[nodiscard]] constexpr unsigned requeues() const noexcept {
    return static_cast<unsigned>(bits_ >> requeues_shift & most_requeues);
  }
  [[nodiscard]] constexpr StateWord with_requeues(unsigned count) const noexcept {
    const std::uint64_t kept = count < most_requeues ? count : most_requeues;
    return StateWord((bits_ & ~(most_requeues << requeues_shift)) | kept << requeues_shift);
  }
  [[nodiscard]] constexpr StateWord with_waiting() const noexcept { return StateWord(bits_ | waiting_bit); }
  [[nodiscard]] constexpr StateWord with_notify() const noexcept { return StateWord(bits_ | notify_bit); }
  [[nodiscard]] constexpr StateWord with_posted() const noexcept { return StateWord(bits_ | posted_flag); }
  [[nodiscard]] constexpr StateWord with_stop() const noexcept { return StateWord(bits_ | stop_bit); }
  [[nodiscard]] constexpr StateWord without_stop() const noexcept { return StateWord(bits_ & ~stop_bit); }
  [[nodiscard]] constexpr StateWord with_overdue() const noexcept { return StateWord(bits_ | overdue_flag); }
  [[nodiscard]] constexpr StateWord without_overdue() const noexcept { return StateWord(bits_ & ~overdue_flag); }

 private:
  static constexpr std::uint64_t phase_mask = 0xF;
  static constexpr std::uint64_t waiting_bit = 1 << 4;
  static constexpr std::uint64_t notify_bit = 1 << 5;
  static constexpr std::uint64_t stop_bit = 1 << 6;
  static constexpr std::uint64_t posted_flag = 1 << 7;
  static constexpr int owner_shift = 8;
  static constexpr int requeues_shift = 20;
  static constexpr std::uint64_t most_requeues = 3;
  static constexpr std::uint64_t overdue_flag = 1 << 22;
  static constexpr int ticket_shift = 64 - ticket_bits;

  std::uint64_t bits_;
};

}  // namespace procpool::detail
