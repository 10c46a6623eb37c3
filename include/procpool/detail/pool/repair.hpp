// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Decides what becomes of the tasks of dead workers, and of those that a wild write has hidden.
///
/// Shared by  the supervisor, who decides, and those who break the pool; one lock keeps them apart, so that a task that
///            is decided about is not ended and taken by somebody else meanwhile.
/// Progress   it never waits for ring space, and never runs code of the user's.
/// Crash      it dies with the user's process only.

#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <procpool/detail/pool/chunk_restart.hpp>
#include <procpool/detail/pool/death_findings.hpp>
#include <procpool/detail/pool/moves.hpp>
#include <procpool/detail/pool/pool_layout.hpp>
#include <procpool/detail/pool/strays.hpp>
#include <procpool/detail/pool/unpublished_block.hpp>
#include <procpool/detail/pool/waiting_tasks.hpp>
#include <procpool/detail/task/chunk_header.hpp>
#include <procpool/error/pool_errors.hpp>
#include <procpool/error/worker_died.hpp>

namespace procpool::detail {

class Repair {
 public:
  Repair(Exchange& exchange, PoolLayout& layout) noexcept : exchange_(exchange), layout_(layout) {}

  /// Settles what the dead worker had in hand, and makes its row good for its next life. `status` is waitpid(2)'s;
  /// `ran_for` is how long the task that it had in hand was seen there. If it throws, for want of memory, nothing was
  /// decided, and it may be called again.
  void bury(std::size_t index, Life life, int status, std::chrono::nanoseconds ran_for = {});

  /// From the first call on the kernel's kills for want of memory are told from others. Reads files, for which the
  /// pool's constructor has no time. Tests put `root` before every path.
  void watch_memory(const std::string& root = {}) {
    const std::lock_guard lock(mutex_);
    if (!oom_kills_) oom_kills_.emplace(root);
  }

  /// Queues the tasks for which the ring had no space.
  void requeue_waiting();

  /// Looks at the next `most` slots: a task that no ring, mailbox or row leads to, because a wild write has ruined
  /// those or its own word, is queued again if it surely waited, and fails if it may have run. True if every other task
  /// that it saw has ended, but for those of the user's own process.
  bool look_for_strays(std::size_t most);

  /// Ends what lies in the mailbox of a worker that will have no life any more.
  void empty_mailbox(std::size_t index);

  /// As Exchange::break_all().
  void break_all(const std::exception_ptr& reason);

  [[nodiscard]] const Moves& moves() const noexcept { return moves_; }  ///< of tasks that it has put back

  /// Tasks that wait for space in the ring, at some moment during the call.
  [[nodiscard]] bool had_waiting() const noexcept { return waiting_.had_any(); }

 private:
  static constexpr unsigned most_requeues = 3;  // without a start

  // All under the lock.
  [[nodiscard, gnu::cold]] bool settle(std::size_t index, Handle handle, int status);
  [[nodiscard]] static bool is_tried_again(const TaskNote* note, DeathReport& report, std::size_t item);
  [[nodiscard]] static bool is_unwanted(const TaskNote* note) noexcept {
    return note != nullptr && note->is_unwanted.load(std::memory_order_relaxed);  // relaxed: published with the word
  }
  void settle_condemned(Handle handle, StateWord word, const TaskNote* note);
  void requeue(Handle handle, StateWord word, StateWord again);
  [[nodiscard]] bool post_again(std::size_t index, Cell cell);
  void cancel(Handle handle, StateWord word, const char* why);
  void end(Handle handle, StateWord word, Phase phase);
  [[gnu::cold]] void lose_item(Handle handle, StateWord word, TaskNote& note, DeathReport report);

  Exchange& exchange_;
  PoolLayout& layout_;
  Strays strays_{exchange_, layout_};
  std::mutex mutex_;
  Moves moves_;
  WaitingTasks waiting_;                 // under the lock: Claimed by no worker
  std::size_t next_stray_ = 0;           // under the lock: where look_for_strays() goes on
  std::chrono::nanoseconds ran_for_{0};  // under the lock: of the worker that is being buried
  std::optional<OomKills> oom_kills_;    // under the lock
};

/// A row that names no task of its worker's is believed only of a worker that left in order, said that it had none, or
/// was not ready for any: another may have ruined it. There may be millions of slots to look at; what both hide is
/// found as a stray.
inline void Repair::bury(std::size_t index, Life life, int status, std::chrono::nanoseconds ran_for) {
  const std::lock_guard lock(mutex_);
  waiting_.have_room();  // Once a try has been used up, the task can be queued again.
  ran_for_ = ran_for;
  Row& row = layout_.row(index);
  // relaxed: the dead write nothing any more
  const bool was_ready = row.ready.load(std::memory_order_relaxed) == life;
  const bool was_idle = !was_ready || layout_.presence.was_idle(static_cast<WorkerIndex>(index));
  layout_.presence.leave(static_cast<WorkerIndex>(index));
  if (!exchange_.reason_of_break()) {
    const Cell cell(row.current.load(std::memory_order_relaxed));  // relaxed: the dead write nothing any more
    const bool had_none = cell.bits == 0 && (was_idle || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    bool is_settled = cell.bits != 0 && exchange_.slots.contains(cell.handle()) && settle(index, cell.handle(), status);
    for (Handle handle = 0; !had_none && !is_settled && handle < exchange_.slots.was_used(); ++handle) {
      if (is_in_hand_of(index, exchange_.slots[handle].load())) is_settled = settle(index, handle, status);
    }
    // As one of which somebody is told.
    if (!is_settled && was_for_memory(status, oom_kills_, layout_.workers())) oom_kills_->take();
  }
  exchange_.outbox.orphan(life);
  row.filling.store(0, std::memory_order_relaxed);  // relaxed: published with the next life
  // (1) release-store, pairs with (7) of supervisor.hpp: the task has ended, or is back in a ring or mailbox.
  row.current.store(0, std::memory_order_release);
  layout_.wake_one();  // It may have been the looker on whom a submitter relied.
}

/// True if the task was the dead worker's. If not, then the worker had not claimed it, or has ended it and perhaps told
/// nobody.
inline bool Repair::settle(std::size_t index, Handle handle, int status) {
  const StateWord word = exchange_.slots[handle].load();
  if (!is_in_hand_of(index, word) || !exchange_.slots.was_in_use(handle)) {
    if (word.is_over()) exchange_.announce_end(handle, word);
    return false;
  }
  TaskNote* note = exchange_.slots.note(handle);
  give_back_unpublished(exchange_.outbox, layout_.row(index), note);
  if (word.phase() == Phase::condemned || word.is_overdue()) {
    settle_condemned(handle, word, note);
    return true;
  }
  if (word.is_unstarted() && word.requeues() < most_requeues) {
    const bool has_taken_kill = was_for_memory(status, oom_kills_, layout_.workers());
    requeue(handle, word, word.with_requeues(word.requeues() + 1));
    if (has_taken_kill) oom_kills_->take();
    return true;
  }
  DeathReport report;
  report.pid = layout_.lives(index).pid.load(std::memory_order_relaxed);  // relaxed: published with `born`
  report.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  report.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  report.ran_for = ran_for_;
  add_findings(report, layout_.row(index), layout_.lives(index), oom_kills_, layout_.workers());
  const bool has_taken_kill = report.out_of_memory;
  if (note != nullptr) report.label = note->label;
  if (note != nullptr && note->items > 0 && !has_ruined_count(*note)) {
    lose_item(handle, word, *note, std::move(report));
  } else if (is_tried_again(note, report, 0)) {
    requeue(handle, word, word.with_requeues(0).without_stop());
  } else {
    exchange_.record_loss(handle, std::make_exception_ptr(WorkerDied(std::move(report))));
    end(handle, word, Phase::lost);
  }
  if (has_taken_kill) oom_kills_->take();
  return true;
}

/// True if the terms of the task allow another try; if not, the report tells of those before.
inline bool Repair::is_tried_again(const TaskNote* note, DeathReport& report, std::size_t item) {
  if (note == nullptr || !note->tries || is_unwanted(note) || has_ruined_count(*note)) return false;
  return note->tries->try_again_after(report, item);
}

/// Of a task that is Overdue the future has failed already.
inline void Repair::settle_condemned(Handle handle, StateWord word, const TaskNote* note) {
  if (word.is_overdue()) return end(handle, word, Phase::lost);
  if (note != nullptr && note->tries && !is_unwanted(note)) {
    if (has_ruined_count(*note)) return end(handle, word, Phase::lost);
    note->tries->count_timeout();
    if (note->has_own_result && may_begin_anew(*note)) begin_anew(*note);  // one that is spoiled fails anyway
    return requeue(handle, word, word.with_requeues(0).without_stop());
  }
  exchange_.slots.make_note(handle).has_begun.store(true, std::memory_order_relaxed);  // relaxed: as in requeue()
  cancel(handle, word, "the task was cancelled while a worker had it, which was killed and replaced");
}

/// Queues a task that no worker has in hand any more. `word` is what it was judged by: if it says something else by
/// now, somebody has decided otherwise, but for flags. `again` is what the slot shall keep of it; ticket, phase and
/// owner are new. A task for one worker alone goes back to its mailbox, if the call that has sent it goes on: if not,
/// that of the next call comes there, perhaps at once.
inline void Repair::requeue(Handle handle, StateWord word, StateWord again) {
  Ring& ring = layout_.ring(RingName::requeued).ring;
  Slot& slot = exchange_.slots[handle];
  TaskNote* note = exchange_.slots.note(handle);
  const bool is_late = word.is_asked_to_stop() && !again.is_asked_to_stop();  // and for that alone was asked to stop
  const bool is_posted = word.is_posted() && word.owner() < layout_.workers();
  const char* const why = "the call that sent this task to one worker alone has ended before it ran";
  if (is_posted && !post_again(word.owner(), Cell(word.ticket(), handle))) return cancel(handle, word, why);
  // relaxed: the word is published behind it
  if ((word.phase() == Phase::running || word.phase() == Phase::condemned) && note != nullptr)
    note->has_begun.store(true, std::memory_order_relaxed);
  const bool has_space = is_posted || !ring.was_full();
  if (!has_space) waiting_.have_room();
  StateWord seen = slot.load();
  for (;;) {
    const bool is_as_judged =
        seen.phase() == word.phase() && seen.owner() == word.owner() && seen.ticket() == word.ticket();
    const bool is_settled = is_as_judged && !is_unwanted(note);
    if (seen.phase() == Phase::condemned && !is_settled) return settle_condemned(handle, seen, note);
    if (seen.is_over() || !is_as_judged) return;
    const bool is_cancelled = is_unwanted(note) || (seen.is_asked_to_stop() && !is_late);
    if (is_cancelled && (is_posted || seen.is_out_of_ring())) return cancel(handle, seen, is_posted ? why : nullptr);
    StateWord wanted = seen.with_requeues(again.requeues()).with_owner(no_worker);
    if (is_late && !is_unwanted(note)) wanted = wanted.without_stop();
    if (!is_posted) wanted = wanted.with_ticket(has_space ? ring.next_position() : word.ticket());
    if (slot.transition(seen, wanted.with_phase(has_space ? Phase::queued : Phase::claimed))) break;
  }
  if (!has_space) waiting_.add(handle);
  else if (!is_posted) ring.publish(handle);
  moves_.count();
  if (!has_space) return;
  exchange_.hub.ring();  // Whoever looked for idleness meanwhile looks again.
  layout_.wake_one();
}

/// The task is not Queued until it lies there: one that is may be cancelled, and then the next task may come to the
/// mailbox. False: that has come, for the call that sent this one has ended early.
inline bool Repair::post_again(std::size_t index, Cell cell) {
  std::uint64_t none = 0;
  // relaxed: published with the next life
  return layout_.row(index).mailbox.compare_exchange_strong(none, cell.bits, std::memory_order_relaxed) ||
         none == cell.bits;
}

/// It will not run any more, and has not failed. `why`: if it waited for a worker like any other, null.
inline void Repair::cancel(Handle handle, StateWord word, const char* why) {
  if (why != nullptr) exchange_.record_cancellation(handle, why);
  end(handle, word, Phase::cancelled);
}

/// Claimed by nobody, the task is ended by nobody else, who might give back its slot before the reason is recorded.
inline void Repair::empty_mailbox(std::size_t index) {
  std::atomic<std::uint64_t>& mailbox = layout_.row(index).mailbox;
  const std::lock_guard lock(mutex_);
  std::unique_lock nobody_posts(exchange_.submit_mutex);
  if (index < layout_.wanted()) return;  // It will have a life, and a task for it may have come.
  // relaxed: nobody else looks into the mailbox of a worker that is not there
  Cell cell(mailbox.load(std::memory_order_relaxed));
  const Handle handle = cell.handle();
  const bool is_slot = cell.bits != 0 && exchange_.slots.contains(handle);
  StateWord word = is_slot ? exchange_.slots[handle].load() : StateWord(0);
  bool is_claimed = false;
  while (!is_claimed && word.phase() == Phase::queued && word.ticket() == cell.ticket()) {
    is_claimed = exchange_.slots[handle].transition(word, word.with_phase(Phase::claimed));
  }
  try {
    if (is_claimed) exchange_.record_cancellation(handle, "the worker for which alone this task was has left");
  } catch (...) {
    while (!exchange_.slots[handle].transition(word, word.with_phase(Phase::queued))) {
    }
    throw;
  }
  nobody_posts.unlock();
  if (is_claimed) end(handle, word, Phase::cancelled);
  // (4) release-rmw, pairs with (5) of supervisor.hpp: the task has ended. relaxed: at a failure the next has come.
  mailbox.compare_exchange_strong(cell.bits, 0, std::memory_order_release, std::memory_order_relaxed);
  exchange_.hub.ring();
}

/// Why was said before, or is what Exchange::loss() says of a task of which nobody knows.
inline void Repair::end(Handle handle, StateWord word, Phase phase) {
  while (!exchange_.slots[handle].transition(word, word.with_phase(phase))) {
    if (word.is_over()) return;
  }
  exchange_.announce_end(handle, word);
}

/// Of a chunk, what was finished stays, the item that the worker died on is lost, and the rest runs elsewhere. If all
/// was finished, nothing is lost but the result of the chunk itself, if it has one: the last item stands for that.
inline void Repair::lose_item(Handle handle, StateWord word, TaskNote& note, DeathReport report) {
  auto& header = *reinterpret_cast<ChunkHeader*>(note.results.data());
  // (2) acquire-load, pairs with (1) of chunk_call.hpp: the results of the items below it. It may have been ruined; but
  // an item is lost once, so that a task which ruins it and dies comes to an end.
  std::size_t finished = std::min<std::size_t>(header.finished.load(std::memory_order_acquire), note.items);
  if (!note.item_losses.empty()) finished = std::max(finished, note.item_losses.back().item + 1);
  if (finished < note.items || note.has_own_result) {
    const std::size_t item = std::min(finished, note.items - 1);
    report.position = note.first_position + item;
    const bool may_begin = !note.has_own_result || may_begin_anew(note);
    if (may_begin && is_tried_again(&note, report, note.has_own_result ? 0 : item)) {
      if (note.has_own_result) begin_anew(note);
      return requeue(handle, word, word.with_requeues(0).without_stop());
    }
    note.item_losses.push_back({item, std::make_exception_ptr(WorkerDied(std::move(report)))});
    finished = item + 1;
    // (3) release-store, pairs with (1) of chunk_collector.hpp, (1) of exchange.hpp: the loss was noted.
    header.finished.store(finished, std::memory_order_release);
  }
  if (finished < note.items) {
    requeue(handle, word, word.with_requeues(0));
    return;
  }
  Slot& slot = exchange_.slots[handle];
  const LockResult lock = slot.mutex.try_lock_reporting();
  slot.result = ResultHeader{};
  if (lock == LockResult::damaged || lock == LockResult::busy) slot.mutex.initialize();
  else slot.mutex.unlock();
  while (!slot.transition(word, word.with_phase(Phase::done))) {
    if (word.is_over()) return;
  }
  exchange_.announce_end(handle, word);
}

inline void Repair::requeue_waiting() {
  if (!had_waiting()) return;
  const std::lock_guard lock(mutex_);
  waiting_.retry([this](Handle handle) {
    const StateWord word = exchange_.slots[handle].load();
    requeue(handle, word, word);
  });
  exchange_.hub.ring();
}

inline void Repair::break_all(const std::exception_ptr& reason) {
  const std::lock_guard lock(mutex_);
  exchange_.break_all(reason);
  waiting_.clear();
}

inline bool Repair::look_for_strays(std::size_t most) {
  const std::lock_guard lock(mutex_);
  if (exchange_.reason_of_break()) return true;
  const std::size_t used = exchange_.slots.was_used();
  bool all_ended = true;
  for (std::size_t left = std::min(most, used); left > 0; --left) {
    if (next_stray_ >= used) next_stray_ = 0;
    const auto handle = static_cast<Handle>(next_stray_++);
    Slot& slot = exchange_.slots[handle];
    StateWord word = slot.load();
    if (!strays_.is_stray(handle, word, waiting_.handles()) || slot.load().bits() != word.bits()) {
      all_ended &= word.is_over() || exchange_.slots.is_local(handle) || !exchange_.slots.was_in_use(handle);
      continue;
    }
    if (strays_.has_waited(handle, word)) {
      requeue(handle, word, word);
    } else if (const StateWord seen = word; slot.transition(word, seen.with_phase(Phase::lost))) {
      exchange_.announce_end(handle, seen);
    }
  }
  return all_ended;
}

}  // namespace procpool::detail
