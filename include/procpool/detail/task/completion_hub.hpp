// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Hands the ends of watched tasks to those who watch them, so that waiting for many never scans them.
///
/// Shared by  the threads of the user's process; it reads the workers' completion rings.
/// Progress   blocking among those threads; whoever waits drains for all.
/// Crash      what a dead or stopped worker did not push, the supervisor delivers; stale handles are ignored, because
///            the slot's state says whether its task has ended.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include <procpool/detail/result/completion_ring.hpp>
#include <procpool/detail/result/slot_table.hpp>
#include <procpool/detail/task/naps.hpp>
#include <procpool/detail/task/result_signal.hpp>
#include <procpool/detail/wait/deadline.hpp>
#include <procpool/detail/wait/event_count.hpp>
#include <procpool/detail/wait/spinner.hpp>

namespace procpool::detail {

/// Told of the end of the tasks it watches, under the hub's lock: it must not run code of the user's.
class Watcher {
 public:
  virtual void ended(Handle handle) noexcept = 0;

 protected:
  ~Watcher() = default;
};

class CompletionHub {
 public:
  CompletionHub(SlotTable& slots, CompletionRing* rings, std::size_t count, ResultSignal& signal, Naps& naps) noexcept
      : slots_(slots), rings_(rings), count_(count), signal_(signal), naps_(naps) {}

  /// More workers than before push into their rings from now on.
  void use_rings(std::size_t count) noexcept { count_.store(count, std::memory_order_relaxed); }  // relaxed: see below

  /// `watcher.ended(handle)` will be called once, perhaps before this returns.
  void watch(Handle handle, Watcher& watcher);

  /// Under the lock: takes the memory that add_under_lock() needs if nobody else watches `handle`.
  void have_room_under_lock(Handle handle) {
    if (watchers_.size() <= handle) watchers_.resize(std::max<std::size_t>(handle + 1, watchers_.size() * 2));
  }

  /// The two halves of it, under the lock, the second of which cannot fail: what the watcher is to know of the task is
  /// stored between them. True: another watcher was told, so the caller rings.
  void add_under_lock(Handle handle, Watcher& watcher);
  [[nodiscard]] bool arm_under_lock(Handle handle, const Watcher& watcher) noexcept;

  /// `watcher` will not be called for it any more, once this has returned.
  void forget(Handle handle, Watcher& watcher) {
    const std::lock_guard lock(mutex_);
    forget_under_lock(handle, watcher);
  }
  void forget_under_lock(Handle handle, Watcher& watcher);

  /// For tasks that end in this process, or whose worker can push no more.
  void deliver(Handle handle);

  /// Calls `try_take()` under the lock whenever something may have ended, until it says true. False at the deadline.
  /// Without a deadline, and while `expects_something()` is false under the lock, it sleeps until it is rung. `self` is
  /// the watcher that the caller waits for: nobody else need be woken for what is handed to it.
  template <class TryTake, class Expects>
  bool wait(std::chrono::nanoseconds spin, const Deadline& deadline, TryTake try_take, Expects expects_something,
            const Watcher* self);

  template <class TryTake>
  bool wait(std::chrono::nanoseconds spin, const Deadline& deadline, TryTake try_take) {
    return wait(
        spin, deadline, try_take, [] { return true; }, nullptr);
  }

  [[nodiscard]] SlotTable& slots() const noexcept { return slots_; }

  /// Guards the private state of watchers.
  [[nodiscard]] std::mutex& mutex() noexcept { return mutex_; }

  /// Wakes everyone in wait(), to look again.
  void ring() noexcept { signal_.ended.ring_all(); }

  /// The same, without a system call if nobody sleeps. For those who have changed something under the lock: a sleeper
  /// counts itself before it looks under the lock a last time, so it has seen the change or is counted.
  void ring_sleepers() noexcept {
    if (has_sleepers(0)) ring();
  }

 private:
  /// A wild write of some worker's may have ruined a completion ring: while somebody sleeps, all is looked at so often.
  static constexpr std::chrono::seconds scan_interval{1};

  // All but the last under the lock. `self` as in wait(); true: another watcher was told.
  bool drain(const Watcher* self);
  bool hand_over(Handle handle, const Watcher* self);
  bool scan(const Watcher* self);
  [[nodiscard]] bool something_ended() const noexcept;

  [[nodiscard]] bool has_sleepers(std::uint32_t but) const noexcept {
    // (1) seq_cst-load, pairs with (2): the load of the lemma for those who hand over in a worker's place.
    return signal_.sleepers.load(std::memory_order_seq_cst) > but;
  }

  std::mutex mutex_;
  SlotTable& slots_;
  /// relaxed: the worker of a ring that is in use since a moment ago has ended no task yet.
  [[nodiscard]] std::size_t rings_in_use() const noexcept { return count_.load(std::memory_order_relaxed); }

  CompletionRing* rings_;
  std::atomic<std::size_t> count_;
  ResultSignal& signal_;
  Naps& naps_;
  std::vector<Watcher*> watchers_;  // by handle: one of each task's; if there are others, they are in its note
};

inline void CompletionHub::watch(Handle handle, Watcher& watcher) {
  bool told_others = false;
  {
    const std::lock_guard lock(mutex_);
    add_under_lock(handle, watcher);
    told_others = arm_under_lock(handle, watcher);
  }
  if (told_others) ring_sleepers();
}

inline void CompletionHub::add_under_lock(Handle handle, Watcher& watcher) {
  have_room_under_lock(handle);
  if (watchers_[handle] == nullptr) watchers_[handle] = &watcher;
  else slots_.make_note(handle).more_watchers.push_back(&watcher);
}

inline bool CompletionHub::arm_under_lock(Handle handle, const Watcher& watcher) noexcept {
  // From this flag on the worker pushes; before it, the task's end is seen here.
  const StateWord word = set_flag(slots_[handle], [](StateWord seen) { return seen.with_notify(); });
  return word.is_final() && hand_over(handle, &watcher);
}

inline void CompletionHub::forget_under_lock(Handle handle, Watcher& watcher) {
  if (handle >= watchers_.size() || watchers_[handle] == nullptr) return;
  TaskNote* note = slots_.note(handle);
  if (watchers_[handle] != &watcher) {
    if (note != nullptr) std::erase(note->more_watchers, &watcher);
    return;
  }
  watchers_[handle] = nullptr;
  if (note == nullptr || note->more_watchers.empty()) return;
  watchers_[handle] = note->more_watchers.back();
  note->more_watchers.pop_back();
}

inline void CompletionHub::deliver(Handle handle) {
  bool told = false;
  {
    const std::lock_guard lock(mutex_);
    told = hand_over(handle, nullptr);
  }
  if (told) ring_sleepers();
}

/// Lemma "Done / waiting": a sleeper that counts itself, takes its key and finds nothing is rung by every later push.
/// The worker pushes, then reads the count of sleepers; the sleeper raises the count, then reads the rings; all four
/// are seq_cst, so one of the two sees the other.
template <class TryTake, class Expects>
bool CompletionHub::wait(std::chrono::nanoseconds spin, const Deadline& deadline, TryTake try_take,
                         Expects expects_something, const Watcher* self) {
  using Clock = std::chrono::steady_clock;
  bool expects = true;
  Clock::time_point next_scan{};
  const auto look = [&](std::uint32_t counted) {
    bool told_others = false;
    bool taken = false;
    {
      const std::lock_guard lock(mutex_);
      told_others = drain(self);
      if (counted != 0 && Clock::now() >= next_scan) {  // It sleeps already.
        told_others |= scan(self);
        next_scan = Clock::now() + scan_interval;
      }
      taken = try_take();
      expects = expects_something();
    }
    if (told_others && has_sleepers(counted)) ring();  // What was drained for others is theirs to see.
    return taken;
  };
  if (look(0)) return true;
  for (Spinner spinner(deadline ? std::min(spin, next_sleep(deadline)) : spin); spinner.spin();) {
    if (something_ended() && look(0)) return true;
  }
  if (expects && naps_.nap(next_sleep(deadline))) {
    const bool taken = look(0);
    naps_.was_worth_it(taken);
    if (taken) return true;
  }
  next_scan = Clock::now() + scan_interval;
  for (;;) {
    const std::chrono::nanoseconds sleep = next_sleep(deadline);
    if (sleep < sleep.zero()) return look(0);
    // (2) seq_cst-rmw, pairs with (1), (13) of worker.hpp, (15) of worker.hpp: the store of the lemma; its loads are
    // those of the rings in the look that follows.
    signal_.sleepers.fetch_add(1, std::memory_order_seq_cst);
    const EventCount::Key key = signal_.ended.key();
    const bool taken = look(1);
    signal_.note_sleeper();
    if (!taken) naps_.time([&] { signal_.ended.wait(key, expects || deadline ? sleep : no_timeout); });
    signal_.sleepers.fetch_sub(1, std::memory_order_relaxed);  // relaxed: who still counts it rings in vain
    if (taken || look(0)) return true;
  }
}

inline bool CompletionHub::something_ended() const noexcept {
  for (std::size_t i = 0; i < rings_in_use(); ++i) {
    if (rings_[i].had_something()) return true;
  }
  return false;
}

inline bool CompletionHub::drain(const Watcher* self) {
  bool complete = true;
  bool told_others = false;
  for (std::size_t i = 0; i < rings_in_use(); ++i) {
    if (!rings_[i].had_something()) continue;
    complete &= rings_[i].drain([&](Handle handle) { told_others |= hand_over(handle, self); });
  }
  if (!complete) told_others |= scan(self);
  return told_others;
}

inline bool CompletionHub::scan(const Watcher* self) {
  bool told_others = false;
  for (std::size_t handle = 0; handle < watchers_.size(); ++handle) {
    if (watchers_[handle] == nullptr) continue;
    Slot& slot = slots_[static_cast<Handle>(handle)];
    if (StateWord word = slot.load(); word.is_ruined()) slot.transition(word, word.with_phase(Phase::lost));
    told_others |= hand_over(static_cast<Handle>(handle), self);
  }
  return told_others;
}

/// A handle may come twice, and late: the second time nobody watches it, and its slot, with the note, may be on its way
/// back. While somebody watches, the slot is kept for him.
inline bool CompletionHub::hand_over(Handle handle, const Watcher* self) {
  if (handle >= watchers_.size() || watchers_[handle] == nullptr || !slots_[handle].load().is_final()) return false;
  bool told_others = false;
  const auto tell = [&](Watcher& watcher) {
    watcher.ended(handle);
    told_others |= &watcher != self;
  };
  tell(*std::exchange(watchers_[handle], nullptr));
  if (TaskNote* note = slots_.note(handle)) {
    for (Watcher* watcher : std::exchange(note->more_watchers, {})) tell(*watcher);
  }
  return told_others;
}

}  // namespace procpool::detail
