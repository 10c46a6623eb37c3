// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The sole owner of a slot whose task was sent: waits for it, reads it, gives it back.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <procpool/detail/task/chunk_header.hpp>
#include <procpool/detail/task/exchange.hpp>
#include <procpool/detail/task/reported_usage.hpp>

namespace procpool::detail {

/// A result that may be decoded: the bytes were checked to lie where results lie.
struct RawResult {
  ResultHeader header;
  std::span<const std::byte> bytes;  // of an encoded value or exception
  std::exception_ptr failure;        // why there is no value; null if there is one, or an encoded exception
};

/// Move-only; does nothing in a process other than the one that made it. Its const members may be called by several
/// threads at a time.
class ResultHandle {
 public:
  ResultHandle() noexcept = default;
  /// `woke_worker`: none looked for work when the task was sent, so one that slept was woken for it.
  ResultHandle(Exchange& exchange, Handle handle, bool woke_worker = false) noexcept
      : exchange_(&exchange), handle_(handle), woke_worker_(woke_worker) {}
  ResultHandle(ResultHandle&& other) noexcept
      : exchange_(std::exchange(other.exchange_, nullptr)), handle_(other.handle_), was_read_(other.was_read_),
        woke_worker_(other.woke_worker_) {}
  ResultHandle& operator=(ResultHandle&& other) noexcept {
    if (this != &other) {
      const ResultHandle replaced(std::move(*this));
      exchange_ = std::exchange(other.exchange_, nullptr);
      handle_ = other.handle_;
      was_read_ = other.was_read_;
      woke_worker_ = other.woke_worker_;
    }
    return *this;
  }
  ~ResultHandle() {
    if (exchange_ != nullptr) leave();
  }

  [[nodiscard]] bool valid() const noexcept { return exchange_ != nullptr; }
  [[nodiscard]] Exchange& exchange() const noexcept { return *exchange_; }
  [[nodiscard]] Handle handle() const noexcept { return handle_; }
  /// Null if the task needs no more than its slot.
  [[nodiscard]] const TaskNote* note() const noexcept { return exchange_->slots.note(handle_); }
  [[nodiscard]] StateWord word() const noexcept { return exchange_->slots[handle_].load(); }

  /// At some moment during the call.
  [[nodiscard]] bool is_ready() const noexcept { return word().is_final(); }
  /// In a worker, at some moment during the call.
  [[nodiscard]] bool is_running() const noexcept {
    const StateWord seen = word();
    return seen.is_in_hand() && !seen.is_final() && !exchange_->slots.is_local(handle_);
  }

  /// True once the task has ended; everything that it and its worker wrote before is visible then. False at the
  /// deadline.
  bool wait(const Deadline& deadline = std::nullopt) const;

  /// Queued → Cancelled, or a request to stop; of a continuation, the same for what it waits for; of a chunk, no item
  /// begins any more. True: it never ran, nor began to, and never will.
  bool cancel() const {
    std::shared_ptr<Upstream> further;
    bool never_runs = cancel(further);
    while (further != nullptr) never_runs &= std::exchange(further, nullptr)->cancel(further);
    return never_runs;
  }

  /// As cancel(), but a worker that has the task in hand is killed; then the task ends with Cancelled.
  void kill() const {
    std::shared_ptr<Upstream> further;
    kill(further);
    while (further != nullptr) std::exchange(further, nullptr)->kill(further);
  }

  // The same, as Upstream has it.
  bool cancel(std::shared_ptr<Upstream>& further) const;
  void kill(std::shared_ptr<Upstream>& further) const;
  bool retell(StateWord condemned) const noexcept;

  /// True if the task, which has ended, has no value, but was not cancelled.
  [[nodiscard]] bool has_failed() const {
    const StateWord last = word();
    return Exchange::has_failed(last, last.phase() == Phase::done ? exchange_->read_result(handle_) : ResultHeader{});
  }

  [[nodiscard]] bool was_cancelled() const noexcept { return word().phase() == Phase::cancelled; }
  /// A try of it has come to nothing; of what is made of several tasks, one of these has begun.
  [[nodiscard]] bool has_begun() const noexcept {
    const TaskNote* note = exchange_->slots.note(handle_);
    return note != nullptr && note->has_begun.load(std::memory_order_relaxed);  // relaxed: published with the word
  }
  /// Of a task that has ended: false if cancel() says that it never ran.
  [[nodiscard]] bool may_have_run() const noexcept { return !was_cancelled() || has_begun(); }

  /// What the Cancelled of one that was cancelled says. Nobody frees it.
  [[nodiscard]] const char* why_cancelled() const;

  /// What a task that has ended, and was sent to be measured, has used. Throws UsageError if it was not.
  [[nodiscard]] Usage usage() const;

  /// The result of a task that has ended. Valid until this handle goes.
  [[nodiscard]] RawResult read() const;

  /// Somebody has been told how the task failed: a drop does not count the failure any more.
  void mark_read() noexcept { was_read_ = true; }

  /// Gives the slot back, whose result was read before. The handle is empty afterwards.
  void give_back(const RawResult& result) noexcept {
    drop(&result.header);
    exchange_ = nullptr;
  }
  /// The same, but for the block of a value that was read: the caller gives that back. Only by its sole owner.
  void give_back_without_block() noexcept {
    exchange_->free_slot(handle_, ResultHeader{});
    exchange_ = nullptr;
  }

  /// A second owner of the same slot; the last one gives it back.
  [[nodiscard]] ResultHandle duplicate() const {
    // relaxed: the caller holds a reference
    exchange_->slots.make_note(handle_).references.fetch_add(1, std::memory_order_relaxed);
    return ResultHandle(*exchange_, handle_);
  }
  [[nodiscard]] bool is_shared() const noexcept {
    const TaskNote* note = exchange_->slots.note(handle_);
    // (2) acquire-load, pairs with (1): who was an owner has read what it wanted.
    return note != nullptr && note->references.load(std::memory_order_acquire) > 1;
  }

 private:
  [[nodiscard, gnu::cold]] std::exception_ptr why_exhausted(std::uint64_t bytes) const;
  [[nodiscard]] StateWord look(const Deadline& deadline, StateWord word) const;
  [[gnu::noinline]] void leave() noexcept {
    if (exchange_->home.is_here()) drop(nullptr);
  }
  void drop(const ResultHeader* known) noexcept;

  Exchange* exchange_ = nullptr;
  Handle handle_ = 0;
  bool was_read_ = false;
  bool woke_worker_ = false;
};
static_assert(sizeof(ResultHandle) == 16, "a future is no more than this");

/// Looks as long as that pays, and returns what it saw last. A worker that looks claims the task at once, unless it is
/// on its way to another CPU, which takes a while. One that slept comes later than a short look would last, and may be
/// waiting for this very CPU: a look that is no longer than its way is not begun.
inline StateWord ResultHandle::look(const Deadline& deadline, StateWord word) const {
  constexpr std::chrono::microseconds way_of_a_woken_worker{50};
  constexpr std::chrono::nanoseconds glance{2'000};
  const SpinTime& time = exchange_->spin;
  if (woke_worker_ && word.phase() == Phase::queued && time.longest() <= way_of_a_woken_worker) return word;
  const auto at_most = [&deadline](std::chrono::nanoseconds budget) {
    return deadline ? std::min(budget, next_sleep(deadline)) : budget;
  };
  const Slot& slot = exchange_->slots[handle_];
  // A result that is on its way is found without a look at the workers, which would slow down the one who sends it.
  for (Spinner first(at_most(std::min(time.longest(), glance))); !word.is_final() && first.spin();) word = slot.load();
  if (word.is_final()) return word;
  const std::chrono::nanoseconds spin = time.of_caller();
  Spinner until_claimed(at_most(woke_worker_ ? spin : spin * 8));
  Spinner until_ended(at_most(spin));
  while (!word.is_final() && (word.phase() == Phase::queued ? until_claimed : until_ended).spin()) word = slot.load();
  return word;
}

inline bool ResultHandle::wait(const Deadline& deadline) const {
  Slot& slot = exchange_->slots[handle_];
  StateWord word = slot.load();
  if (word.is_final()) return true;
  word = look(deadline, word);
  if (!word.is_final() && exchange_->naps.nap(next_sleep(deadline))) {
    word = slot.load();
    exchange_->naps.was_worth_it(word.is_final());
  }
  while (!word.is_final()) {
    const std::chrono::nanoseconds sleep = next_sleep(deadline);
    if (sleep < sleep.zero()) return false;
    if (word.is_ruined() && slot.transition(word, word.with_phase(Phase::lost))) return true;
    word = set_flag(slot, [](StateWord seen) { return seen.with_waiting(); });
    exchange_->signal().note_sleeper();
    // Whoever ends the task changes the word first and wakes after; no later change is slept through.
    if (!word.is_final()) exchange_->naps.time([&] { slot.sleep(word, sleep); });
    word = slot.load();
  }
  return true;
}

inline bool ResultHandle::cancel(std::shared_ptr<Upstream>& further) const {
  Slot& slot = exchange_->slots[handle_];
  StateWord word = slot.load();
  while (word.phase() == Phase::queued) {
    if (!slot.transition(word, word.with_phase(Phase::cancelled))) continue;
    exchange_->announce_end(handle_, word);
    return !has_begun();
  }
  if (word.phase() == Phase::cancelled) return !has_begun();
  TaskNote* note = exchange_->slots.note(handle_);
  if (note != nullptr) note->is_unwanted.store(true, std::memory_order_relaxed);  // relaxed: as said in repair.hpp
  if (note != nullptr && note->items > 0) {
    // (3) release-store, pairs with (2) of chunk_call.hpp: the note says so too, which no worker can ruin.
    reinterpret_cast<ChunkHeader*>(note->results.data())->is_unwanted.store(true, std::memory_order_release);
  }
  if (set_flag(slot, [](StateWord seen) { return seen.with_stop(); }).is_final()) return false;
  if (note == nullptr || note->upstream == nullptr) return false;
  further = note->upstream;
  return true;
}

/// Changes the word of a condemned task, so that the supervisor, if it is about to queue the task for another try,
/// finds not what it has judged, and judges again. What is changed, the requeues, means nothing there.
inline bool ResultHandle::retell(StateWord condemned) const noexcept {
  return exchange_->slots[handle_].transition(condemned, condemned.with_requeues((condemned.requeues() + 1) % 4));
}

inline void ResultHandle::kill(std::shared_ptr<Upstream>& further) const {
  if (exchange_->slots.is_local(handle_)) {
    const TaskNote* note = exchange_->slots.note(handle_);
    if (note != nullptr) further = note->upstream;
    return;
  }
  // relaxed: published by the transition
  exchange_->slots.make_note(handle_).is_unwanted.store(true, std::memory_order_relaxed);
  for (;;) {  // A dead worker's task may be queued again meanwhile.
    if (cancel()) return;
    StateWord now = word();
    // Of one that no worker has, but waits for one, the supervisor will see that it is not wanted; if it does not wait
    // either, a wild write has made it so, and the supervisor ends it.
    if (now.is_final() || now.is_ruined() || (now.is_in_hand() && now.owner() == no_worker)) return;
    if (now.phase() != Phase::condemned ? exchange_->condemn(handle_, now) : retell(now)) return;
  }
}

inline const char* ResultHandle::why_cancelled() const {
  if (const char* why = exchange_->cancellation(handle_)) return why;
  return has_begun() ? "the task was cancelled before it was tried again" : "the task was cancelled before it ran";
}

inline Usage ResultHandle::usage() const {
  const TaskNote* note = exchange_->slots.note(handle_);
  if (note == nullptr || !note->is_measured) {
    throw UsageError(
        "usage() of a task that was not measured: it is kept of a task that submit() or try_submit() has sent by "
        "with({.measure = true}), not of a map or a continuation");
  }
  return reinterpret_cast<const TaskNumbers*>(note->results.data())->usage.was_reported();
}

inline RawResult ResultHandle::read() const {
  RawResult raw;
  const StateWord state = word();
  if (state.is_overdue()) {
    raw.failure = exchange_->loss(handle_);
  } else if (state.phase() == Phase::cancelled) {
    raw.failure = std::make_exception_ptr(Cancelled(why_cancelled()));
  } else if (state.phase() == Phase::lost) {
    raw.failure = exchange_->loss(handle_);
  } else {
    raw.header = exchange_->read_result(handle_);
    const bool is_encoded = raw.header.kind == ResultKind::value || raw.header.kind == ResultKind::exception;
    const auto* block = std::bit_cast<const std::byte*>(raw.header.word);
    if (is_encoded && exchange_->outbox.holds(block, raw.header.size)) {
      raw.bytes = {block, static_cast<std::size_t>(raw.header.size)};
    } else if (is_encoded) {
      raw.failure =
          std::make_exception_ptr(damage("the result of ", name_of(note()), "points outside the memory for results"));
    } else if (raw.header.kind == ResultKind::outbox_exhausted) {
      raw.failure = why_exhausted(raw.header.size);
    }
  }
  return raw;
}

/// No process has an object of more bytes than it has addresses.
inline std::exception_ptr ResultHandle::why_exhausted(std::uint64_t bytes) const {
  constexpr std::uint64_t addresses = std::uint64_t{1} << 47;
  if (bytes >= addresses) {
    return std::make_exception_ptr(
        damage("the result of ", name_of(note()), "says that it needs more memory than there are addresses"));
  }
  std::optional<std::size_t> item;
  if (const TaskNote* chunk = note(); chunk != nullptr && chunk->items > 0 && !chunk->has_own_result) {
    const auto& header = *reinterpret_cast<const ChunkHeader*>(chunk->results.data());
    // relaxed: published with the slot's word
    const std::size_t finished = header.finished.load(std::memory_order_relaxed);
    item = chunk->first_position + std::min(finished, chunk->items - 1);
  }
  return std::make_exception_ptr(SharedMemoryExhausted(
      message({"the result of ", name_of(note(), item), " needs ", bytes, " bytes; the memory for results holds ",
               exchange_->outbox.capacity(),
               " and is shared with results not yet taken: take those, or raise PoolOptions::shared_memory if the "
               "system has it"})));
}

inline void ResultHandle::drop(const ResultHeader* known) noexcept {
  bool was_read = was_read_;
  bool is_local = false;
  if (TaskNote* note = exchange_->slots.note(handle_)) {
    // relaxed: the next line publishes it to the last owner.
    if (was_read || known != nullptr) note->was_read.store(true, std::memory_order_relaxed);
    // (1) acq_rel-rmw, pairs with (1), (2): the others have read what they wanted before the last one gives it back.
    if (note->references.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    was_read = note->was_read.load(std::memory_order_relaxed);  // relaxed: see above
    is_local = exchange_->slots.is_local(handle_);
    if (is_local && !exchange_->slots.leave_local(handle_, false)) return;  // Whoever ends the task frees the slot.
  }
  const StateWord state = word();
  if (known != nullptr && state.is_over() && !state.is_overdue()) {
    exchange_->free_slot(handle_, *known);
  } else if (!state.is_over() && !is_local) {
    exchange_->abandon(handle_);
  } else if (was_read) {
    exchange_->free_slot(handle_, state.phase() == Phase::done ? exchange_->read_result(handle_) : ResultHeader{});
  } else {
    exchange_->discard(handle_);
  }
}

}  // namespace procpool::detail
