// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The one thread of a pool that runs callbacks, continuations and coroutines when tasks end, and tells how far they
/// are; made at first use.

#include <pthread.h>

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <procpool/detail/os/signals.hpp>
#include <procpool/detail/result/continuation.hpp>
#include <procpool/detail/task/completion_hub.hpp>
#include <procpool/detail/task/retained.hpp>
#include <procpool/detail/wait/deadline.hpp>

namespace procpool::detail {

/// Its thread holds `owner` until it ends, so that the last future may go on the thread itself. Whoever has called
/// after() calls finish() in the end, or neither ever goes.
class Dispatcher final : private Watcher {
 public:
  Dispatcher(Retained& owner, CompletionHub& hub) noexcept : owner_(owner), hub_(hub) {}
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// Runs `continuation` on the dispatch thread once the task has ended, perhaps before this returns. Those of one task
  /// run in the order in which they came. If the dispatcher has finished, a task of this process may still wait for
  /// another pool: then whoever ends it runs what waits for it. Of any other task: false, with `continuation` left as
  /// it was, and the caller runs it. If it throws, for want of memory or of a thread, nothing has changed. The caller,
  /// or `continuation`, keeps the slot of the task from being given back.
  [[nodiscard]] bool after(Handle handle, std::unique_ptr<Continuation>& continuation);

  /// Whoever has ended a task of this process: runs what has waited for it, if the dispatcher has finished.
  void run_late();

  /// Takes back what after() was given for a task that has not ended. Null if the task has: then it runs, or has run.
  /// The caller keeps the slot of the task from being given back.
  [[nodiscard]] std::unique_ptr<Continuation> withdraw(Handle handle, const Continuation& continuation) noexcept;

  /// From now on after() throws nothing for a task that is sent next, unless another is sent meanwhile.
  void prepare();

  /// Calls `recur()` of each of them ten times a second on the dispatch thread until that says false. Whoever asks for
  /// it has called after() before, so the thread does not end meanwhile. Takes no memory.
  void repeat(std::list<std::shared_ptr<Recurring>> recurring) noexcept;

  /// Runs what is waiting and what that will still bring, then ends the thread. On the dispatch thread itself (a
  /// callback destroys its pool) it returns at once, and the thread ends by itself.
  void finish();

 private:
  void ended(Handle handle) noexcept override {
    TaskNote* note = hub_.slots().note(handle);
    if (note == nullptr || note->continuations.empty()) return;
    ready_.append(note->continuations);
    --waiting_;
  }
  void start();
  void run();
  [[nodiscard]] bool is_open_and_local(Handle handle) const noexcept {
    return hub_.slots().is_local(handle) && !hub_.slots()[handle].load().is_final();
  }
  [[nodiscard]] bool take_ready(ContinuationQueue& batch);
  [[nodiscard]] Deadline next_round() const { return recurring_.empty() ? Deadline() : Deadline(next_round_); }
  void go_round();

  static constexpr std::chrono::milliseconds round{100};

  Retained& owner_;
  CompletionHub& hub_;
  // Under the hub's lock:
  std::thread thread_;
  std::size_t waiting_ = 0;  // tasks whose notes hold continuations
  ContinuationQueue ready_;
  std::list<std::shared_ptr<Recurring>> arriving_;  // not yet in recurring_, and moved there without memory
  bool has_started_ = false;
  bool is_finishing_ = false;
  bool is_finished_ = false;
  bool is_running_late_ = false;
  // The dispatch thread's alone:
  std::list<std::shared_ptr<Recurring>> recurring_;
  std::chrono::steady_clock::time_point next_round_;
};

inline bool Dispatcher::after(Handle handle, std::unique_ptr<Continuation>& continuation) {
  const Hold hold(owner_);  // The continuation may run, and let go of everything, before this returns.
  bool may_sleep_without_tick = false;
  bool is_late = false;
  {
    const std::lock_guard lock(hub_.mutex());
    is_late = is_finished_;
    if (is_late && !is_open_and_local(handle)) return false;
    if (!is_late && !has_started_) start();
    may_sleep_without_tick = waiting_ == 0;
    ContinuationQueue& queue = hub_.slots().make_note(handle).continuations;
    const bool is_first = queue.empty();
    if (is_first) hub_.add_under_lock(handle, *this);
    queue.push(std::move(continuation));  // Nothing throws from here on.
    if (is_first) {
      ++waiting_;
      static_cast<void>(hub_.arm_under_lock(handle, *this));  // All who sleep are rung below.
    }
  }
  if (may_sleep_without_tick) hub_.ring();
  else hub_.ring_sleepers();
  if (is_late) run_late();  // It may have ended meanwhile.
  return true;
}

/// One thread after another, as if it were the dispatch thread; what the continuations themselves end, a chain of them
/// perhaps, is run by the same thread, one by one.
inline void Dispatcher::run_late() {
  const Hold hold(owner_);
  std::unique_lock lock(hub_.mutex());
  if (!is_finished_ || std::exchange(is_running_late_, true)) return;
  while (!ready_.empty()) {
    ContinuationQueue batch;
    batch.append(ready_);
    lock.unlock();
    while (!batch.empty()) batch.pop()->run();
    lock.lock();
  }
  is_running_late_ = false;
}

/// Of a task that has not ended nothing was taken out of its note, so whatever is found there at that address is what
/// was put there.
inline std::unique_ptr<Continuation> Dispatcher::withdraw(Handle handle, const Continuation& continuation) noexcept {
  std::unique_ptr<Continuation> withdrawn;
  bool is_to_finish = false;
  {
    const std::lock_guard lock(hub_.mutex());
    TaskNote* note = hub_.slots().note(handle);
    if (note == nullptr || hub_.slots()[handle].load().is_final()) return nullptr;
    withdrawn = note->continuations.remove(continuation);
    if (withdrawn == nullptr || !note->continuations.empty()) return withdrawn;
    hub_.forget_under_lock(handle, *this);  // with the lock: nobody has put another there meanwhile
    is_to_finish = --waiting_ == 0 && is_finishing_;
  }
  if (is_to_finish) hub_.ring();
  return withdrawn;
}

inline void Dispatcher::prepare() {
  const std::lock_guard lock(hub_.mutex());
  if (is_finished_) return;
  if (!has_started_) start();
  hub_.have_room_under_lock(static_cast<Handle>(hub_.slots().was_used()));
}

inline void Dispatcher::repeat(std::list<std::shared_ptr<Recurring>> recurring) noexcept {
  {
    const std::lock_guard lock(hub_.mutex());
    if (is_finished_) return;
    arriving_.splice(arriving_.end(), recurring);
  }
  hub_.ring_sleepers();
}

inline void Dispatcher::start() {
  const SignalBlock inherited_by_the_thread;  // The user's handlers run on the user's threads.
  thread_ = std::thread([this] { run(); });
  owner_.retain();
  has_started_ = true;
}

inline void Dispatcher::run() {
  ::pthread_setname_np(::pthread_self(), "procpool-call");
  for (bool is_over = false; !is_over;) {
    ContinuationQueue batch;
    hub_.wait(
        std::chrono::nanoseconds::zero(), next_round(),
        [&] {
          const bool is_taken = take_ready(batch);
          is_over = is_finished_;
          return is_taken;
        },
        [&] { return waiting_ != 0; }, this);
    while (!batch.empty()) batch.pop()->run();
    go_round();
  }
  recurring_.clear();
  owner_.release();  // This may be the end of it all.
}

/// True if there is something to do. It is finished if nothing will come any more.
inline bool Dispatcher::take_ready(ContinuationQueue& batch) {
  batch.append(ready_);
  if (batch.empty() && is_finishing_ && waiting_ == 0) is_finished_ = true;
  const bool has_arrived = !arriving_.empty();
  if (has_arrived && recurring_.empty()) next_round_ = std::chrono::steady_clock::now() + round;
  recurring_.splice(recurring_.end(), arriving_);
  return !batch.empty() || has_arrived || is_finished_;
}

inline void Dispatcher::go_round() {
  if (recurring_.empty() || std::chrono::steady_clock::now() < next_round_) return;
  next_round_ = std::chrono::steady_clock::now() + round;
  std::erase_if(recurring_, [](const std::shared_ptr<Recurring>& each) { return !each->recur(); });
}

inline void Dispatcher::finish() {
  std::thread thread;
  {
    const std::lock_guard lock(hub_.mutex());
    is_finishing_ = true;
    if (!has_started_) is_finished_ = true;
    thread = std::move(thread_);
  }
  hub_.ring();
  if (!thread.joinable()) return;
  if (thread.get_id() == std::this_thread::get_id()) thread.detach();
  else thread.join();
}

}  // namespace procpool::detail
