// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The life of a worker process: find a task, run it, publish its result.
///
/// Shared by  its one thread; what it shares is in its row, the slots, the rings and the outbox.
/// Crash      at every step the state word of the slot says what the supervisor has to do: nothing (Queued), requeue
///            (Claimed), report (Running), nothing again (Done, or not this worker's any more).

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include <procpool/detail/os/cpu_placement.hpp>
#include <procpool/detail/os/stdio_flush.hpp>
#include <procpool/detail/pool/pool_layout.hpp>
#include <procpool/detail/task/task_context.hpp>
#include <procpool/detail/wait/deadline.hpp>

namespace procpool::detail {

class Worker {
 public:
  Worker(Exchange& exchange, PoolLayout& layout, WorkerIndex index, Life life) noexcept
      : exchange_(exchange), layout_(layout), index_(index), life_(life), row_(layout.row(index)),
        outbox_(exchange.outbox, life, row_.filling) {}

  /// Without work for so long, a worker that is not among the pool's least leaves.
  static constexpr std::chrono::seconds idle_before_retirement{3};

  /// Runs tasks until the pool stops or wants fewer workers and no work is left, `should_leave()` says so between two
  /// tasks, or, if it `retires`, it has been idle for long.
  void serve(WorkerSelf& self, const std::function<bool()>& should_leave, bool retires = false);

 private:
  static constexpr int most_meetings = 8;

  struct Claim {
    Slot* slot;
    Handle handle;
  };

  [[nodiscard]] std::optional<Claim> find_work() noexcept;
  [[nodiscard]] std::optional<Claim> claim_from_mailbox() noexcept;
  [[nodiscard]] std::optional<Claim> claim_from(RingAndSpace& ring) noexcept;
  [[nodiscard]] bool claim(Cell cell) noexcept;
  void signal_space(RingAndSpace& ring, std::uint64_t head) noexcept;

  [[nodiscard]] std::optional<Claim> wait_for_work() noexcept;
  [[nodiscard]] bool makes_way() noexcept;
  [[nodiscard]] bool is_unwanted() const noexcept { return index_ >= layout_.wanted(); }
  [[nodiscard]] bool more_work_waits() const noexcept;
  void start_looking() noexcept;

  void run(WorkerSelf& self, const Claim& claim);
  void give_up(StateWord word) const noexcept;
  void leave() noexcept;
  void publish(const Claim& claim, const ResultHeader& result) noexcept;

  Exchange& exchange_;
  PoolLayout& layout_;
  WorkerIndex index_;
  Life life_;
  Row& row_;
  OutboxWriter outbox_;
  bool is_looking_ = false;
  std::uint32_t turns_ = 0;  // claims tried, for the turn of the low ring
  int meetings_ = 0;         // in a row, in makes_way()
  Deadline retires_at_;      // if no work comes until then
};

inline void Worker::serve(WorkerSelf& self, const std::function<bool()>& should_leave, bool retires) {
  layout_.presence.arrive(index_);
  if (retires) retires_at_ = std::chrono::steady_clock::now() + idle_before_retirement;
  for (;;) {
    std::optional<Claim> work = find_work();
    if (!work) {
      // (10) acquire-load, pairs with (3) of pool_core.hpp: all that was ever published had ended before it was set.
      if (layout_.words().is_stopping.load(std::memory_order_acquire) != 0 || is_unwanted()) return leave();
      work = wait_for_work();
      if (!work && retires_at_ && std::chrono::steady_clock::now() >= *retires_at_) return leave();
      if (!work) continue;
    }
    if (is_looking_) {
      layout_.presence.stop_looking(index_);
      is_looking_ = false;
      if (more_work_waits()) layout_.wake_one();  // Keeps the lemma "publish / looking" for what else was published.
    }
    run(self, *work);
    if (retires) retires_at_ = std::chrono::steady_clock::now() + idle_before_retirement;
    if (is_unwanted() || (should_leave && should_leave())) return leave();
  }
}

/// Nobody shall rely on it as a looker while it does what it does at its end.
inline void Worker::leave() noexcept {
  layout_.presence.leave(index_);
  if (more_work_waits()) layout_.wake_one();
}

/// The mailbox, then the rings in their order; the lowest ring first at every 16th turn, so that nothing starves.
inline std::optional<Worker::Claim> Worker::find_work() noexcept {
  if (auto work = claim_from_mailbox()) return work;
  if (++turns_ % 16 == 0) {
    if (auto work = claim_from(layout_.ring(RingName::low))) return work;
  }
  for (std::size_t i = 0; i < ring_count; ++i) {
    if (auto work = claim_from(layout_.rings()[i])) return work;
  }
  // A cell that was cancelled under the worker's hand may still stand in the row: it has nothing in hand.
  // (1) release-store, pairs with (7) of supervisor.hpp, (5) of strays.hpp: what it has had in hand has ended.
  row_.current.store(0, std::memory_order_release);
  return std::nullopt;
}

inline std::optional<Worker::Claim> Worker::claim_from(RingAndSpace& ring) noexcept {
  for (;;) {
    const std::uint64_t position = ring.ring.head();
    const std::optional<Cell> cell = ring.ring.peek(position);
    if (!cell) {
      if (!ring.ring.was_lapped(position)) return std::nullopt;
      ring.ring.pass(position);  // The head has moved on meanwhile, or a wild write has ruined the cell.
      continue;
    }
    const bool claimed = claim(*cell);
    ring.ring.pass(position);
    signal_space(ring, position + 1);
    if (claimed) return Claim{&exchange_.slots[cell->handle()], cell->handle()};
  }
}

/// A death after the store to the row leaves a Queued task that the row merely names: the supervisor finds that it is
/// not this worker's. A death after the transition leaves a Claimed one, which it requeues.
inline bool Worker::claim(Cell cell) noexcept {
  if (cell.handle() >= exchange_.slots.capacity()) return false;  // A wild write has ruined the cell.
  Slot& slot = exchange_.slots[cell.handle()];
  StateWord word = slot.load();
  if (word.phase() != Phase::queued || word.ticket() != cell.ticket()) return false;
  // (3) release-store, pairs with (9) of supervisor.hpp, (1) of deadlines.hpp, (1) of condemned_workers.hpp, (5) of
  // strays.hpp, (2) of pool_stats.hpp: the slot was filled, and what was in hand before has ended. Whoever sees the
  // claim that follows sees what the row names.
  row_.current.store(cell.bits, std::memory_order_release);
  while (word.phase() == Phase::queued && word.ticket() == cell.ticket()) {
    if (slot.transition(word, word.with_phase(Phase::claimed).with_owner(index_))) return true;
  }
  return false;
}

inline std::optional<Worker::Claim> Worker::claim_from_mailbox() noexcept {
  // (5) acquire-load, pairs with (6) of pool_core.hpp: the slot of the task is filled.
  const Cell cell(row_.mailbox.load(std::memory_order_acquire));
  if (cell.bits == 0) return std::nullopt;
  const bool claimed = claim(cell);
  // It takes out only what it has seen: if that was cancelled, the next task may be there already.
  std::uint64_t seen = cell.bits;
  // (7) release-rmw, pairs with (5) of supervisor.hpp, (4) of strays.hpp: the row names what was taken out, which is
  // not Queued any more. relaxed: a failure tells nothing.
  row_.mailbox.compare_exchange_strong(seen, 0, std::memory_order_release, std::memory_order_relaxed);
  if (!claimed) return std::nullopt;
  return Claim{&exchange_.slots[cell.handle()], cell.handle()};
}

/// Lemma "head moved / waiting for space": the submitter stores the head that it waits for, then reads the head; the
/// worker moves the head, then reads what is waited for. All four are seq_cst, so one of the two sees the other.
inline void Worker::signal_space(RingAndSpace& ring, std::uint64_t head) noexcept {
  // (11) seq_cst-load, pairs with (1) of queue_space.hpp: the load of the lemma; its store was the move of the head.
  std::uint64_t wanted = ring.wanted.load(std::memory_order_seq_cst);
  if (wanted == 0 || static_cast<std::int64_t>(head - wanted) < 0) return;
  // What another submitter has come to want meanwhile stays.
  // (12) seq_cst-rmw, pairs with (1) of queue_space.hpp, (2) of queue_space.hpp: only the wish that is granted here is
  // forgotten. relaxed: a failure tells nothing.
  ring.wanted.compare_exchange_strong(wanted, 0, std::memory_order_seq_cst, std::memory_order_relaxed);
  ring.space.ring_all();
}

inline void Worker::start_looking() noexcept {
  layout_.presence.start_looking(index_);
  is_looking_ = true;
  // Whoever waits until all is idle reads the rows after it counted itself: see PoolCore::wait_idle.
  const ResultSignal& signal = exchange_.signal();
  // (13) seq_cst-load, pairs with (2) of completion_hub.hpp, (1) of naps.hpp: one that is not counted yet looks later
  // than this. That the look finds this row empty is no lemma, because (1) only releases: at worst he looks again after
  // longest_sleep.
  if (signal.sleepers.load(std::memory_order_seq_cst) != 0 || signal.nappers.load(std::memory_order_seq_cst) != 0) {
    exchange_.signal().ended.ring_all();
  }
}

/// Looks for a while, unless enough others do, then sleeps until woken. Empty: look at everything again.
inline std::optional<Worker::Claim> Worker::wait_for_work() noexcept {
  if (!is_looking_) start_looking();
  const bool sleeps_at_once = layout_.presence.was_crowded() || makes_way();
  for (Spinner spinner(sleeps_at_once ? std::chrono::nanoseconds::zero() : exchange_.spin.of_worker());
       spinner.spin();) {
    if (auto work = find_work()) return work;
    if (layout_.words().is_stopping.load(std::memory_order_relaxed) != 0) return std::nullopt;  // relaxed: looks again
    if (is_unwanted()) return std::nullopt;
  }
  outbox_.leave_empty();
  const EventCount::Key key = row_.wake.key();
  layout_.presence.fall_asleep(index_);
  // Keeps the lemma "publish / looking": one more look after the bits.
  if (auto work = find_work()) return work;
  // (14) seq_cst-load, pairs with (3) of pool_core.hpp: who stops the pool rings after it, so that the key is old or
  // the word is seen.
  if (layout_.words().is_stopping.load(std::memory_order_seq_cst) == 0 && !is_unwanted()) {
    row_.wake.wait(key, retires_at_ ? std::max(*retires_at_ - std::chrono::steady_clock::now(), {}) : no_timeout);
  }
  layout_.presence.start_looking(index_);
  return std::nullopt;
}

/// True if a thread of the user's process went to sleep on this CPU, and now perhaps has a result to read: a look would
/// keep it from running, and with it the next task from coming. If the two meet here again and again, the worker moves.
inline bool Worker::makes_way() noexcept {
  const int sleeper = exchange_.signal().sleeper_cpu.load(std::memory_order_relaxed);  // relaxed: a hint
  if (sleeper < 0 || sleeper != current_cpu()) {
    meetings_ = 0;
    return false;
  }
  if (++meetings_ < most_meetings) return true;
  meetings_ = 0;
  move_to_another_cpu(layout_.workers());
  return sleeper == current_cpu();
}

inline bool Worker::more_work_waits() const noexcept {
  for (std::size_t i = 0; i < ring_count; ++i) {
    const Ring& ring = layout_.rings()[i].ring;
    if (ring.peek(ring.head())) return true;
  }
  return false;
}

/// The task is not this worker's any more: the pool was broken, or it was condemned or recalled. Then the worker is to
/// be killed, and waits for that, lest the signal hit another task.
inline void Worker::give_up(StateWord word) const noexcept {
  if (!word.dooms_worker() || word.owner() != index_) return;
  for (;;) ::pause();  // until it is killed
}

inline void Worker::run(WorkerSelf& self, const Claim& claim) {
  Slot& slot = *claim.slot;
  StateWord word = slot.load();
  do {
    if (word.phase() != Phase::claimed || word.owner() != index_) return give_up(word);
  } while (!slot.transition(word, word.with_phase(Phase::running)));
  self.slot = &slot;
  const GivenTerms terms = slot.task.has(TaskRecord::has_terms) ? Terms::read(slot.task.block()) : GivenTerms{};
  self.label = terms.label;
  self.progress = terms.progress;
  self.retries_on_exception = terms.retries_on_exception;
  row_.label.show(self.label);
  TaskContext context(slot.task, self, outbox_);
  if (terms.usage == nullptr) {
    slot.task.run(context);
  } else {
    row_.peak.keep(life_, own_usage().peak_memory);
    terms.usage->measure([&] { slot.task.run(context); });
  }
  flush_standard_streams();              // A later death must not swallow what this task printed.
  if (!self.home.is_here()) ::_exit(0);  // A process that the task forked came back from it; it is not the worker.
  publish(claim, context.result);
  self.slot = nullptr;
}

/// A death before the transition leaves a Running or Condemned task, which is Lost or tried again, and a block that the
/// row names. A death after it leaves a Done task; the supervisor delivers it and wakes its waiters in this worker's
/// place.
inline void Worker::publish(const Claim& claim, const ResultHeader& result) noexcept {
  Slot& slot = *claim.slot;
  StateWord word = slot.load();
  if (word.phase() != Phase::running || word.owner() != index_) return give_up(word);
  // Nobody else wants the mutex of a running task: if it is not free, then a wild write has ruined it.
  const LockResult lock = slot.mutex.try_lock_reporting();
  slot.result = result;
  if (lock == LockResult::damaged || lock == LockResult::busy) slot.mutex.initialize();
  else slot.mutex.unlock();
  // relaxed: published by the transition; this worker alone writes it
  row_.tasks_done.store(row_.tasks_done.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  while (!slot.transition(word, word.with_phase(Phase::done))) {
    if (word.phase() != Phase::running || word.owner() != index_) return give_up(word);
  }
  outbox_.published();
  if (word.is_watched()) {
    exchange_.completions(index_).push(claim.handle);
    // (15) seq_cst-load, pairs with (2) of completion_hub.hpp: the load of the lemma "Done / waiting", after the push.
    if (exchange_.signal().sleepers.load(std::memory_order_seq_cst) != 0) exchange_.signal().ended.ring_all();
  }
  if (word.is_waited_for()) slot.wake_sleepers();
  // (9) release-store, pairs with (7) of supervisor.hpp, (5) of strays.hpp: the task has ended.
  row_.current.store(0, std::memory_order_release);
}

}  // namespace procpool::detail
