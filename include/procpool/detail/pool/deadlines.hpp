// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Watches the clock for the tasks that have a deadline.
///
/// Shared by  the supervisor, whose tick it is a part of; submitters tell it of tasks; any thread asks running_for().
/// Progress   it waits for no worker, and never runs code of the user's. What there is no memory to tell, a later tick
///            tells. No clock is read for a task: what a row names unchanged from tick to tick has run that long.
/// Crash      it dies with the user's process only. A worker that dies meanwhile is buried by the same thread, between
///            two ticks, so what it had in hand is the word's to say.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include <procpool/detail/pool/condemned_workers.hpp>
#include <procpool/detail/pool/late_text.hpp>
#include <procpool/detail/pool/pool_layout.hpp>
#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

class Deadlines {
 public:
  using Clock = std::chrono::steady_clock;

  Deadlines(Exchange& exchange, PoolLayout& layout)
      : exchange_(exchange), layout_(layout), samples_(layout.most_workers()) {}

  /// A task with a deadline was queued with that ticket. True if it is the only one that is watched.
  [[nodiscard]] bool watch(Handle handle, std::uint64_t ticket, const SupervisedTerms& terms);

  /// Ends what has run too long, and some of what has waited too long: if that is not all, the next tick may be no time
  /// away. Wishes the death of condemned workers. True if the zygote is to be rung.
  [[nodiscard]] bool tick(Clock::time_point now);

  /// There will be no tick until there is something to do.
  void pause() noexcept { planned_ = Clock::time_point::max(); }

  /// How long the next tick may be away, at most `longest`.
  [[nodiscard]] std::chrono::nanoseconds until_next(Clock::time_point now, std::chrono::nanoseconds longest);

  /// The next tick should have come by now.
  [[nodiscard]] bool is_due(Clock::time_point now) const noexcept { return planned_ <= now; }

  /// The supervisor had other work until now: if a tick is late by that, the process was not stopped.
  void was_busy_until(Clock::time_point now) noexcept { planned_ = std::max(planned_, now); }

  /// How long the task in a worker's hand has been seen there; as exact as the tick. Zero: none.
  [[nodiscard]] std::chrono::nanoseconds running_for(std::size_t worker);

 private:
  static constexpr std::chrono::milliseconds fine_tick{4};  // while a task with a deadline has not ended
  static constexpr std::chrono::seconds longest_claim{1};   // before the start; the worker was stopped, or is starved
  static constexpr int most_ended = 1024;  // that waited, at one tick: the dead are not to wait for a million
  static constexpr std::chrono::milliseconds longest_delay{100};  // of a tick; beyond it, this process was stopped

  struct Waiting {
    Clock::time_point deadline;
    Handle handle;
    std::uint64_t ticket;  // of its sending
    [[nodiscard]] bool operator<(const Waiting& other) const noexcept { return deadline > other.deadline; }
  };
  struct Sample {
    std::uint64_t cell = 0;     // what the worker had in hand at the last tick
    std::uint32_t retries = 0;  // of its row
    Life life = 0;
    Clock::time_point since;        // when the task was first seen
    Clock::time_point tried_since;  // or claimed
    bool is_late = false;           // it was asked to stop
    bool was_claimed = false;       // at the last tick, and not started
  };

  /// False if there was no memory for it: then it has changed nothing.
  template <class Step>
  static bool try_to(Step step) {
    try {
      step();
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  void extend_if_late(Clock::time_point now);
  void end_waiting(Clock::time_point now);
  void look_at_worker(std::size_t index, Clock::time_point now);
  void recall(Handle handle, StateWord word, Sample& sample, Clock::time_point now);
  [[nodiscard]] StateWord judge(Handle handle, StateWord word, const TaskNote& note, Sample& sample,
                                Clock::time_point now);
  [[nodiscard]] StateWord ask_to_stop(Handle handle, StateWord word, const TaskNote& note);
  void wait_until(Waiting entry) {
    waiting_.push_back(entry);
    std::push_heap(waiting_.begin(), waiting_.end());
  }
  [[nodiscard]] StateWord end_one_waiting(const Waiting& late);
  [[nodiscard]] bool has_begun(const Waiting& task) const;
  [[nodiscard]] bool is_before_first_try(const Waiting& task) const {
    const TaskNote* note = exchange_.slots.note(task.handle);
    // relaxed: stored before the word said Queued, by this thread
    const bool is_first = note != nullptr && !note->has_begun.load(std::memory_order_relaxed);
    return is_first && note->tries && note->tries->was_sent_as(task.ticket);
  }
  void forget_ended();
  void forget_started();

  Exchange& exchange_;
  PoolLayout& layout_;
  std::mutex mutex_;              // of the next three
  std::vector<Handle> watched_;   // has had a deadline when it was queued, and has not been seen to be over
  std::vector<Waiting> waiting_;  // a heap, the nearest deadline first
  std::vector<Sample> samples_;   // by worker
  std::size_t kept_waiting_ = 0;
  // The supervisor's alone:
  std::size_t next_watched_ = 0;
  bool could_end_waiting_ = true;
  Clock::time_point next_ = Clock::time_point::max();
  Clock::time_point planned_ = Clock::time_point::max();
};

inline bool Deadlines::watch(Handle handle, std::uint64_t ticket, const SupervisedTerms& terms) {
  const std::lock_guard lock(mutex_);
  watched_.push_back(handle);
  if (terms.queue_timeout.count() != 0) {
    wait_until({Clock::now() + terms.queue_timeout, handle, ticket});
    if (TaskNote* note = exchange_.slots.note(handle); note != nullptr && note->tries)
      note->tries->note_sending(ticket);
  }
  return watched_.size() == 1;
}

inline bool Deadlines::tick(Clock::time_point now) {
  {
    const std::lock_guard lock(mutex_);
    extend_if_late(now);
    next_ = Clock::time_point::max();
    for (std::size_t index = 0; index < layout_.workers(); ++index) {
      static_cast<void>(try_to([&] { look_at_worker(index, now); }));
    }
    forget_ended();
  }
  could_end_waiting_ = try_to([&] { end_waiting(now); });
  return wish_deaths_of_condemned(exchange_, layout_);
}

inline std::chrono::nanoseconds Deadlines::until_next(Clock::time_point now, std::chrono::nanoseconds longest) {
  {
    const std::lock_guard lock(mutex_);
    if (!watched_.empty()) longest = std::min<std::chrono::nanoseconds>(longest, fine_tick);
    // Who had no memory to end one tries it again at the next fine tick, not at once.
    if (!waiting_.empty() && could_end_waiting_) next_ = std::min(next_, waiting_.front().deadline);
  }
  if (next_ - now < longest) longest = std::max(next_ - now, std::chrono::nanoseconds::zero());
  planned_ = now + longest;
  return longest;
}

inline std::chrono::nanoseconds Deadlines::running_for(std::size_t worker) {
  const std::lock_guard lock(mutex_);
  const Sample& sample = samples_[worker];
  const std::uint64_t cell = layout_.row(worker).current.load(std::memory_order_relaxed);  // relaxed: compared
  return sample.cell == 0 || sample.cell != cell ? std::chrono::nanoseconds::zero() : Clock::now() - sample.since;
}

/// This process was stopped, or the machine slept: its tasks shall not pay for that.
inline void Deadlines::extend_if_late(Clock::time_point now) {
  if (planned_ == Clock::time_point::max() || now - planned_ < longest_delay) return;
  const auto gap = now - planned_;
  for (Sample& sample : samples_) sample.tried_since += gap;
  for (Waiting& each : waiting_) each.deadline += gap;  // The order stays.
}

inline void Deadlines::end_waiting(Clock::time_point now) {
  const auto end_one = [&]() -> bool {
    std::unique_lock lock(mutex_);
    if (waiting_.empty() || waiting_.front().deadline > now) {
      forget_started();
      return false;
    }
    const Waiting late = waiting_.front();
    const StateWord before = end_one_waiting(late);
    const bool is_ended = before.phase() == Phase::queued;
    const bool is_over = is_ended || has_begun(late);
    std::pop_heap(waiting_.begin(), waiting_.end());
    waiting_.pop_back();
    // Not queued yet, or claimed: by one that starts it, or that is dead. There is room for it.
    if (!is_over) wait_until({now + fine_tick, late.handle, late.ticket});
    lock.unlock();
    if (is_ended) exchange_.announce_end(late.handle, before);
    return true;
  };
  for (int left = most_ended; left > 0 && end_one(); --left) continue;
}

/// Now and then, so that what is held of tasks with distant deadlines is no more than there are such tasks.
inline void Deadlines::forget_started() {
  if (waiting_.size() < 2 * kept_waiting_ + 1024) return;
  std::erase_if(waiting_, [this](const Waiting& each) { return has_begun(each); });
  std::make_heap(waiting_.begin(), waiting_.end());
  kept_waiting_ = waiting_.size();
}

/// True if it waits no more, however that has come: then the slot may be another task's. Of a Free one the note may be
/// about to go.
inline bool Deadlines::has_begun(const Waiting& task) const {
  const std::lock_guard guard(exchange_.slots.note_guard());
  const StateWord word = exchange_.slots[task.handle].load();
  if (word.phase() == Phase::free) return !exchange_.slots.was_in_use(task.handle);
  return (word.phase() != Phase::queued && !word.is_unstarted()) || !is_before_first_try(task);
}

/// The word that it had when it was ended; any other phase than Queued if it was not.
inline StateWord Deadlines::end_one_waiting(const Waiting& late) {
  const std::lock_guard guard(exchange_.slots.note_guard());
  Slot& slot = exchange_.slots[late.handle];
  StateWord word = slot.load();
  while (word.phase() == Phase::queued && is_before_first_try(late)) {
    const TaskNote& note = *exchange_.slots.note(late.handle);
    exchange_.record_loss(
        late.handle,
        std::make_exception_ptr(QueueTimeout(late_text(note, " waited for a worker longer than its queue_timeout of ",
                                                       note.tries->terms().queue_timeout, "; it never ran"))));
    const StateWord before = word;
    if (slot.transition(word, word.with_phase(Phase::lost))) return before;
    exchange_.record_loss(late.handle, nullptr);
  }
  return StateWord(0);
}

/// Under the lock. A worker that publishes, or dies, after the look at the word has its way: every step is one
/// transition of it.
inline void Deadlines::look_at_worker(std::size_t index, Clock::time_point now) {
  const Row& row = layout_.row(index);
  Sample& sample = samples_[index];
  // (1) acquire-load, pairs with (3) of worker.hpp: the slot that the row names is constructed and was filled.
  const Cell cell(row.current.load(std::memory_order_acquire));
  const std::uint32_t retries = row.retries.load(std::memory_order_relaxed);  // relaxed: only compared
  // relaxed: only compared. A task for one worker alone has the same cell in the next life.
  const Life life = layout_.lives(index).born.load(std::memory_order_relaxed);
  if (cell.bits != sample.cell || life != sample.life) sample = {cell.bits, retries, life, now, now};
  if (retries != sample.retries) sample = {cell.bits, retries, life, sample.since, now};
  if (cell.bits == 0 || watched_.empty() || !exchange_.slots.contains(cell.handle())) return;
  StateWord before(0);
  {
    const std::lock_guard guard(exchange_.slots.note_guard());
    const StateWord word = exchange_.slots[cell.handle()].load();
    if (word.owner() != index || word.ticket() != cell.ticket()) return;
    const TaskNote* note = exchange_.slots.note(cell.handle());
    if (note == nullptr || !note->tries || !note->tries->terms().have_deadline()) return;
    if (word.phase() == Phase::claimed) return recall(cell.handle(), word, sample, now);
    if (word.phase() != Phase::running) return;
    if (std::exchange(sample.was_claimed, false)) sample.tried_since = now;
    before = judge(cell.handle(), word, *note, sample, now);
  }
  if (before.phase() == Phase::running) exchange_.announce_end(cell.handle(), before);
}

/// A worker that was stopped before it started its task would keep that from all others, for ever. If it goes on now,
/// it finds that it may not start it, and waits to be killed, so that no other task is hit; then this one, which has
/// not begun, is queued again.
inline void Deadlines::recall(Handle handle, StateWord word, Sample& sample, Clock::time_point now) {
  sample.was_claimed = true;
  if (now - sample.tried_since < longest_claim) return;
  const WorkerIndex worker = word.owner();
  if (exchange_.slots[handle].transition(word, word.with_phase(Phase::recalled)))
    exchange_.condemned.add(worker, handle);
}

/// Asks a task that has run too long to stop, and condemns it when its grace is over. The word that it had when its
/// future failed just now, else any other.
inline StateWord Deadlines::judge(Handle handle, StateWord word, const TaskNote& note, Sample& sample,
                                  Clock::time_point now) {
  const SupervisedTerms& terms = note.tries->terms();
  if (terms.timeout.count() == 0) return StateWord(0);
  const Clock::time_point deadline = sample.tried_since + terms.timeout;
  const Clock::time_point end =
      terms.grace < Clock::time_point::max() - deadline ? deadline + terms.grace : Clock::time_point::max();
  StateWord ended(0);
  // One that was to be tried again, and is not wanted any more, fails like one that was not to be.
  const bool is_unwanted = note.is_unwanted.load(std::memory_order_relaxed);  // relaxed: the next tick sees it
  const bool is_told = sample.is_late && (word.is_overdue() || !is_unwanted);
  if (now >= deadline && !is_told) {
    ended = ask_to_stop(handle, word, note);
    sample.is_late = true;
  }
  if (now >= end) exchange_.condemn(handle, exchange_.slots[handle].load());
  else next_ = std::min(next_, sample.is_late ? end : deadline);
  return ended;
}

/// One that may be tried again has failed only when its worker is dead.
inline StateWord Deadlines::ask_to_stop(Handle handle, StateWord word, const TaskNote& note) {
  Slot& slot = exchange_.slots[handle];
  if (note.tries->may_time_out() && !note.is_unwanted.load(std::memory_order_relaxed)) {  // relaxed: a race anyway
    set_flag(slot, [](StateWord seen) { return seen.with_stop(); });
    return StateWord(0);
  }
  exchange_.record_loss(handle, std::make_exception_ptr(TaskTimeout(
                                    late_text(note, " ran longer than its timeout of ", note.tries->terms().timeout,
                                              "; it was asked to stop, and its worker is killed if it does not"))));
  while (word.phase() == Phase::running) {
    const StateWord before = word;
    if (slot.transition(word, word.with_stop().with_overdue())) return before;
  }
  return StateWord(0);
}

/// A few at a time: there may be a million.
inline void Deadlines::forget_ended() {
  for (std::size_t left = std::min<std::size_t>(1024, watched_.size()); left > 0; --left) {
    if (next_watched_ >= watched_.size()) next_watched_ = 0;
    Handle& each = watched_[next_watched_];
    if (exchange_.slots.was_in_use(each) && !exchange_.slots[each].load().is_over()) {
      ++next_watched_;
      continue;
    }
    each = watched_.back();
    watched_.pop_back();
  }
}

}  // namespace procpool::detail
