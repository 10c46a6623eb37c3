// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The thread of the user's process that decides what a death means, and keeps waiting tasks moving.
///
/// Shared by  it writes the lives that it wants, and the slots of dead workers, which nobody else may touch.
/// Progress   it never waits for ring space, nor for a lock that a waiter holds, and never runs code of the user's.
///            What it has no memory for is done at a later tick.
/// Crash      it dies with the user's process only.

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <procpool/detail/pool/attempts.hpp>
#include <procpool/detail/pool/births.hpp>
#include <procpool/detail/pool/deadlines.hpp>
#include <procpool/detail/pool/death_counts.hpp>
#include <procpool/detail/pool/initializer_failure.hpp>
#include <procpool/detail/pool/pool_layout.hpp>
#include <procpool/detail/pool/repair.hpp>
#include <procpool/detail/pool/ring_walk.hpp>
#include <procpool/detail/pool/stopped_workers.hpp>
#include <procpool/detail/pool/unready_lives.hpp>
#include <procpool/detail/pool/unused_memory.hpp>
#include <procpool/detail/pool/zygote_link.hpp>

namespace procpool::detail {

class Supervisor {
 public:
  /// `on_break` is told why no task will run any more: before the open futures fail.
  /// From index `least` on, a worker that has left in order is replaced only when tasks wait; 0: none retires.
  Supervisor(Exchange& exchange, PoolLayout& layout, ZygoteLink& zygote, std::size_t least,
             std::function<void(const std::exception_ptr&)> on_break);
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Work has come. Cheap unless the supervisor sleeps.
  void notice_work() noexcept {
    // relaxed: the caller has published under the submit lock; see sleep_or_tick().
    if (is_asleep_.load(std::memory_order_relaxed)) ring();
  }

  /// Wakes it to look at everything.
  void ring() noexcept { ::eventfd_write(bell_.get(), 1); }

  /// Waits until the zygote, and with it every worker, is gone.
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  /// From now on the zygote may go without breaking the pool.
  void expect_end() noexcept {
    // (1) release-store, pairs with (3): it is said before the zygote is told, whose end is followed by the look.
    is_end_expected_.store(true, std::memory_order_release);
    ring();  // Whoever is stopped brings no news of the end: from now on it ticks.
  }

  /// No task will run any more; those that have not ended fail with `reason`, unless they failed before.
  void break_all(const std::exception_ptr& reason) {
    repair_.break_all(reason);
    exchange_.hub.ring();
  }

  /// True if no task waited or ran, nor was in the hand of a dead worker, at some moment during the call.
  [[nodiscard]] bool was_idle();

  /// How long the supervisor has seen the task in a worker's hand; as exact as its tick. Zero: none.
  [[nodiscard]] std::chrono::nanoseconds running_for(std::size_t worker) { return deadlines_.running_for(worker); }

  /// True if it waited for nothing but a ring, at some moment during the call.
  // relaxed: racy by nature
  [[nodiscard]] bool was_asleep() const noexcept { return is_asleep_.load(std::memory_order_relaxed); }

  /// A task with terms for the supervisor was queued with that ticket.
  void supervise(Handle handle, std::uint64_t ticket, const SupervisedTerms& terms) {
    if (terms.have_deadline() && deadlines_.watch(handle, ticket, terms)) ring();  // It ticks finer from now on.
  }

  [[nodiscard]] std::uint64_t worker_deaths() const noexcept { return deaths_.worker_deaths(); }
  [[nodiscard]] std::uint64_t recycled() const noexcept { return deaths_.recycled(); }

 private:
  static constexpr std::chrono::milliseconds tick_length{25};
  static constexpr int lingering_ticks = 20;  // without work, before it sleeps

  void run();
  void sleep_or_tick();
  [[nodiscard]] bool listen_for_a_tick();
  [[nodiscard]] bool work_is_outstanding();
  void tick();
  void insist_on_end();

  void look_at_clock();
  void look_at_rows();
  void decide_death(std::size_t index, Life life);
  void want_lives();
  void break_pool(const std::exception_ptr& reason);

  Exchange& exchange_;
  PoolLayout& layout_;
  ZygoteLink& zygote_;
  std::function<void(const std::exception_ptr&)> on_break_;
  UniqueFd bell_;
  Repair repair_;
  Deadlines deadlines_;
  Births births_;
  UnreadyLives unready_lives_;
  StoppedWorkers stopped_workers_;
  UnusedMemory unused_memory_;
  DeathCounts deaths_;
  Attempts attempts_;                                               // since the last tick began
  const std::exception_ptr zygote_loss_ = std::make_exception_ptr(  // made while there is memory for it
      BrokenPool("the process that makes this pool's workers has ended, and with it all workers; was it killed, or has "
                 "some worker's task written to memory that is not its own? Make a new pool"));
  int ticks_without_work_ = 0;
  std::uint64_t heads_ = 0;  // sum of the rings' heads at the last tick
  bool is_zygote_gone_ = false;
  std::atomic<bool> is_asleep_{false};        // written by the supervisor; read by submitters
  std::atomic<bool> is_end_expected_{false};  // written by who ends the pool; no worker can ruin it
  std::thread thread_;
};

inline Supervisor::Supervisor(Exchange& exchange, PoolLayout& layout, ZygoteLink& zygote, std::size_t least,
                              std::function<void(const std::exception_ptr&)> on_break)
    : exchange_(exchange), layout_(layout), zygote_(zygote), on_break_(std::move(on_break)),
      bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), repair_(exchange, layout), deadlines_(exchange, layout),
      births_(layout, least), unused_memory_(exchange, layout), deaths_(layout.most_workers()) {
  if (!bell_.is_open()) throw std::system_error(errno, std::generic_category(), "eventfd for a pool");
  exchange_.condemned.set_bell(bell_.get());
  const SignalBlock inherited_by_the_thread;  // The user's handlers run on the user's threads.
  thread_ = std::thread([this] { run(); });
}

inline void Supervisor::run() {
  ::pthread_setname_np(::pthread_self(), "procpool-super");
  want_lives();  // here: woken by the thread that makes the pool, the zygote would take the CPU from it
  while (!is_zygote_gone_) {
    attempts_.make([this] { repair_.watch_memory(); });
    sleep_or_tick();
    attempts_.begin_anew();
    look_at_rows();
    if (!is_zygote_gone_) tick();
  }
  exchange_.condemned.set_bell(-1);
  // (3) acquire-load, pairs with (1): who told the zygote to leave has said so before.
  if (!is_end_expected_.load(std::memory_order_acquire)) break_pool(zygote_loss_);
}

/// With work outstanding it ticks; a while after the last work it sleeps until it is rung. It says so under the submit
/// lock, then looks for work once more. What was published under the lock before is seen by that look; whoever
/// publishes later sees that it sleeps.
inline void Supervisor::sleep_or_tick() {
  const bool is_ending = is_end_expected_.load(std::memory_order_relaxed);  // relaxed: the bell tells of the end
  const bool is_busy = is_ending || attempts_.has_failed() || unused_memory_.is_more() || work_is_outstanding();
  if (is_busy) ticks_without_work_ = 0;
  if (++ticks_without_work_ < lingering_ticks) {
    is_zygote_gone_ = listen_for_a_tick();
    return;
  }
  // A task that has not ended, though none waits and no row names one: some wild write has hidden it. Workers that look
  // once more and find nothing show who does not run it.
  bool all_ended = false;
  attempts_.make([&] { all_ended = repair_.look_for_strays(SIZE_MAX); });
  if (!all_ended) layout_.wake_all();
  {
    const std::lock_guard lock(exchange_.submit_mutex);
    is_asleep_.store(true, std::memory_order_relaxed);  // relaxed: the lock orders it
  }
  ticks_without_work_ = 0;
  if (!all_ended || work_is_outstanding()) {
    is_zygote_gone_ = listen_for_a_tick();
  } else {
    exchange_.sweep(SIZE_MAX);  // Nobody will until the next call that does.
    deadlines_.pause();
    const std::optional<int> pause = unused_memory_.milliseconds_to_next_round(std::chrono::steady_clock::now());
    is_zygote_gone_ = zygote_.listen(bell_.get(), pause.value_or(-1));
    const bool is_round = pause && unused_memory_.is_due(std::chrono::steady_clock::now());
    if (is_round) ticks_without_work_ = lingering_ticks - 1;  // There was no work.
  }
  is_asleep_.store(false, std::memory_order_relaxed);  // relaxed: who still sees it asleep rings in vain
}

inline bool Supervisor::listen_for_a_tick() {
  const auto length = deadlines_.until_next(std::chrono::steady_clock::now(), tick_length);
  return zygote_.listen(bell_.get(), static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(length).count()));
}

inline bool Supervisor::work_is_outstanding() {
  if (repair_.had_waiting() || tasks_waiting(layout_, exchange_.slots) != 0) return true;
  for (std::size_t i = 0; i < layout_.workers(); ++i) {
    // (5) acquire-load, pairs with (7) of worker.hpp, (4) of repair.hpp: the row, looked at next, names what was taken
    // out of the mailbox.
    if (layout_.row(i).mailbox.load(std::memory_order_acquire) != 0) return true;
    // (7) acquire-load, pairs with (1) of worker.hpp, (9) of worker.hpp, (1) of repair.hpp: what became of the task is
    // visible to whoever finds the pool idle. The row was set before the cell of its task was dead.
    const Cell current(layout_.row(i).current.load(std::memory_order_acquire));
    if (names_open_task(layout_, exchange_.slots, i, current)) return true;
  }
  return false;
}

/// A task goes on from where it waits to a row, and only a repair, which counts that, puts it back: looked at in that
/// order, and with none put back meanwhile, it cannot be missed.
inline bool Supervisor::was_idle() {
  const std::uint64_t moves = repair_.moves().seen();
  return !work_is_outstanding() && repair_.moves().seen() == moves;
}

/// Makes up for wake-ups and completions that a dead, stopped or throttled worker owes.
inline void Supervisor::tick() {
  exchange_.sweep(1024);
  std::uint64_t heads = 0;
  bool tasks_wait = tasks_waiting(layout_, exchange_.slots) != 0;
  for (std::size_t i = 0; i < ring_count; ++i) heads += layout_.rings()[i].ring.head();
  for (std::size_t i = 0; i < layout_.workers(); ++i) {
    // relaxed: a hint; what it misses the next tick sees
    tasks_wait |= layout_.row(i).mailbox.load(std::memory_order_relaxed) != 0;
    // (9) acquire-load, pairs with (3) of worker.hpp: the slot that the row names is constructed and was filled.
    const Cell cell(layout_.row(i).current.load(std::memory_order_acquire));
    if (cell.bits == 0) continue;
    const bool is_slot = exchange_.slots.contains(cell.handle());
    const StateWord word = is_slot ? exchange_.slots[cell.handle()].load() : StateWord(0);
    if (word.is_final() && word.is_watched()) exchange_.hub.deliver(cell.handle());
    // A wild write may have put it there while the worker slept; awake, the worker sets it right.
    if (!is_in_hand_of(i, word) || layout_.presence.was_idle(static_cast<WorkerIndex>(i))) {
      layout_.row(i).wake.ring_all();
    }
  }
  // Somebody who sleeps while tasks wait was missed; and one who should have been rung may count as a looker.
  if (tasks_wait && (heads == heads_ || layout_.presence.had_sleepers())) {
    layout_.presence.forget_lookers();  // Were one of them stopped, each next task would wait for a tick, too.
    layout_.wake_all();
  }
  heads_ = heads;
  // relaxed: as in sleep_or_tick()
  if (is_end_expected_.load(std::memory_order_relaxed)) insist_on_end();
  const auto now = std::chrono::steady_clock::now();
  if (deadlines_.tick(now)) zygote_.ring();
  attempts_.make([&] { unused_memory_.tick(now); });
  attempts_.make([this] { repair_.requeue_waiting(); });
  attempts_.make([this] { repair_.look_for_strays(1024); });
}

/// Some wild write may have undone what ends the pool's processes, or a wake-up; or somebody has stopped one of them.
inline void Supervisor::insist_on_end() {
  layout_.words().is_stopping.store(1, std::memory_order_relaxed);  // relaxed: set before; nothing new is told by it
  if (exchange_.reason_of_break()) {
    layout_.words().is_killed.store(1, std::memory_order_relaxed);  // relaxed: as above
  }
  if (stopped_workers_.end(layout_)) zygote_.go_on();
  layout_.wake_all();
  zygote_.ring();
}

/// Between two burials, each of which may have to look at all slots: no deadline waits for more than one.
inline void Supervisor::look_at_clock() {
  const auto now = std::chrono::steady_clock::now();
  if (!deadlines_.is_due(now)) return;
  if (deadlines_.tick(now)) zygote_.ring();
  static_cast<void>(deadlines_.until_next(now, tick_length));
}

inline void Supervisor::look_at_rows() {
  for (std::size_t index = 0; index < layout_.workers() && !exchange_.reason_of_break(); ++index) {
    const LifeRegister& lives = layout_.lives(index);
    // (8) acquire-load, pairs with (7) of zygote.hpp, (1) of outbox_writer.hpp, (2) of outbox_writer.hpp: the status
    // belongs to this life, and what the dead wrote is there, in the order in which they wrote it.
    const Life dead = lives.dead.load(std::memory_order_acquire);
    if (dead == births_.buried(index)) continue;
    look_at_clock();
    attempts_.make([&] { decide_death(index, dead); });
    deadlines_.was_busy_until(std::chrono::steady_clock::now());
  }
  if (exchange_.reason_of_break()) return;
  attempts_.make([this] {
    want_lives();
    if (const std::exception_ptr reason = births_.reason_of_refusal()) break_pool(reason);
  });
}

inline void Supervisor::want_lives() {
  // (10) acquire-load, pairs with (3) of pool_core.hpp: all that was ever published had ended before it was set.
  const bool is_stopping = layout_.words().is_stopping.load(std::memory_order_acquire) != 0;
  // One for each task that waits: what another worker has in hand is no work for one more.
  std::size_t waiting = tasks_waiting(layout_, exchange_.slots) + (repair_.had_waiting() ? 1 : 0);
  waiting -= std::min(waiting, births_.coming_back());
  const auto is_needed = [&](std::size_t index, bool is_reserve) {
    if (!is_reserve && !is_stopping) return true;
    // relaxed: what it misses the next tick sees
    if (layout_.row(index).mailbox.load(std::memory_order_relaxed) != 0) return true;
    if (waiting == 0) return false;
    --waiting;
    return true;
  };
  if (births_.want(is_needed)) zygote_.ring();
  for (std::size_t index = layout_.wanted(); index < layout_.workers(); ++index) {
    // relaxed: what it misses the next tick sees
    const bool has_task = layout_.row(index).mailbox.load(std::memory_order_relaxed) != 0;
    if (has_task && !births_.has_life(index)) repair_.empty_mailbox(index);
  }
}

/// Until it is buried, all is asked again; nothing that throws follows on what a second time would be one too many.
inline void Supervisor::decide_death(std::size_t index, Life life) {
  const Row& row = layout_.row(index);
  const LifeRegister& lives = layout_.lives(index);
  const int status = lives.status.load(std::memory_order_relaxed);  // relaxed: published with `dead`
  const ::pid_t pid = lives.pid.load(std::memory_order_relaxed);    // relaxed: published with `born`
  const bool in_order = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  const bool was_ready = row.ready.load(std::memory_order_relaxed) == life;  // relaxed: the dead write nothing any more
  const bool had_work = row.current.load(std::memory_order_relaxed) != 0;    // relaxed: as above
  // relaxed: a hint; a pool may be ended at any moment
  const bool is_stopping = layout_.words().is_stopping.load(std::memory_order_relaxed) != 0;
  const bool is_recycled = in_order && !had_work && was_ready && !is_stopping && index < layout_.wanted();
  // Before anybody is told. What leaves a pool that ends, or becomes smaller, has neither died nor been recycled.
  deaths_.count(index, life, !in_order || had_work, is_recycled);
  repair_.bury(index, life, status, running_for(index));
  exchange_.hub.ring();  // Whoever waits until all is idle looks again, now that the repair is over.
  births_.bury(index, life, is_recycled);
  if (was_ready) {
    unready_lives_.forget();
  } else if (const std::exception_ptr reason = unready_lives_.judge(layout_.wanted(), row, life, pid, status)) {
    break_pool(reason);
  }
}

inline void Supervisor::break_pool(const std::exception_ptr& reason) {
  // (11) release-store, pairs with (9) of zygote.hpp: the deaths that it brings are decided by this thread, once all is
  // broken.
  layout_.words().is_killed.store(1, std::memory_order_release);
  zygote_.ring();
  on_break_(reason);
  break_all(reason);
}

}  // namespace procpool::detail
