// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Tasks that run in the user's own process (the continuation of a future), with a slot like all others.

#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <procpool/detail/task/result_handle.hpp>
#include <procpool/detail/task/room_search.hpp>

namespace procpool::detail {

namespace local_task_detail {
/// Waits, as a submit does, while tasks that nobody waits for hold the slots.
[[nodiscard]] inline Handle allocate_slot(Exchange& exchange) {
  for (RoomSearch search(exchange, true);;) {
    {
      const std::lock_guard lock(exchange.submit_mutex);
      if (const std::optional<Handle> handle = exchange.slots.allocate()) return *handle;
    }
    if (search.next([&] { return exchange.abandoned().will_give_slot(); }) == Room::none) {
      throw SharedMemoryExhausted(
          "no slot is free for the continuation of a future; take some results, or raise "
          "PoolOptions::shared_memory");
    }
  }
}
}  // namespace local_task_detail

/// Begins a task of this process: Running, without an owner. Whoever begins it must end it once. Under no lock.
[[nodiscard]] inline ResultHandle begin_local_task(Exchange& exchange) {
  auto note = std::make_unique<TaskNote>();
  const Handle handle = local_task_detail::allocate_slot(exchange);
  exchange.retain();
  exchange.slots.set_local_note(handle, std::move(note));
  exchange.slots[handle].store(StateWord::queued(exchange.next_local_ticket()).with_phase(Phase::running));
  return ResultHandle(exchange, handle);
}

namespace local_task_detail {
inline void end(Exchange& exchange, Handle handle, Phase phase) {
  Slot& slot = exchange.slots[handle];
  StateWord word = slot.load();
  // No task of this process is ever overdue: a wild write may say so.
  while (!slot.transition(word, word.with_phase(phase).without_overdue())) {
  }
  exchange.announce_end(handle, word);
  if (word.is_watched()) exchange.dispatcher.run_late();
  if (!exchange.slots.leave_local(handle, true)) return;  // The owner of the future frees the slot.
  // relaxed: its writer has left before
  const bool was_read = exchange.slots.note(handle)->was_read.load(std::memory_order_relaxed);
  if (was_read) exchange.free_slot(handle, exchange.read_result(handle));
  else exchange.discard(handle);
}
}  // namespace local_task_detail

/// Ends it with a value, kept in this process's private memory; null for void. `handle` names a slot that the caller
/// knows to be in use: its future may be gone, but an unfinished task keeps its slot.
inline void end_local_task(Exchange& exchange, Handle handle, std::shared_ptr<void> value) {
  if (value) exchange.keep_local(handle, std::move(value));
  local_task_detail::end(exchange, handle, Phase::done);
}

/// Ends it with a failure.
inline void fail_local_task(Exchange& exchange, Handle handle, std::exception_ptr failure) {
  exchange.record_loss(handle, std::move(failure));
  local_task_detail::end(exchange, handle, Phase::lost);
}

/// Ends it as cancelled. `why` is kept, not copied. `has_begun`: something of what it stands for has run.
inline void cancel_local_task(Exchange& exchange, Handle handle, const char* why, bool has_begun) {
  exchange.record_cancellation(handle, why);
  // relaxed: published with the slot's word
  if (has_begun) exchange.slots.make_note(handle).has_begun.store(true, std::memory_order_relaxed);
  local_task_detail::end(exchange, handle, Phase::cancelled);
}

/// The duty to end a task of this process, as one object. If nobody ends it, it fails when this goes.
class LocalTask {
 public:
  explicit LocalTask(Exchange& exchange)
      : exchange_(exchange), hold_(exchange), future_(begin_local_task(exchange)), handle_(future_.handle()) {}
  LocalTask(const LocalTask&) = delete;
  LocalTask& operator=(const LocalTask&) = delete;
  ~LocalTask() {
    if (has_ended_) return;
    try {
      throw Error("what was to make the value of a future could not be started");
    } catch (...) {  // that, or std::bad_alloc
      fail(std::current_exception());
    }
  }

  /// Who cancels this task cancels that. Before the future is given out.
  void set_upstream(std::shared_ptr<Upstream> upstream) {
    exchange_.slots.make_note(handle_).upstream = std::move(upstream);
  }

  /// The owner of its result. Once.
  [[nodiscard]] ResultHandle take_future() noexcept { return std::move(future_); }

  void succeed(std::shared_ptr<void> value) {
    end_local_task(exchange_, handle_, std::move(value));
    has_ended_ = true;
  }
  void fail(std::exception_ptr failure) {
    fail_local_task(exchange_, handle_, std::move(failure));
    has_ended_ = true;
  }
  /// What it waited for was cancelled, so it never runs, and its future tells the same. `has_begun`: that, or something
  /// else that it waited for, has run.
  void cancel_as(const ResultHandle& awaited, bool has_begun) {
    cancel_local_task(exchange_, handle_, awaited.why_cancelled(), has_begun);
    has_ended_ = true;
  }
  /// It never runs.
  void cancel() {
    local_task_detail::end(exchange_, handle_, Phase::cancelled);
    has_ended_ = true;
  }

 private:
  Exchange& exchange_;
  Hold hold_;  // while it ends the task, the task's future may be the last to go
  ResultHandle future_;
  Handle handle_;
  bool has_ended_ = false;
};

}  // namespace procpool::detail
