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
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <procpool/detail/result/completion_ring.hpp>
#include <procpool/detail/result/slot_table.hpp>
#include <procpool/detail/wait/event_count.hpp>
#include <procpool/detail/wait/spinner.hpp>

namespace procpool::detail {

using Deadline = std::optional<std::chrono::steady_clock::time_point>;

/// No wake-up owed by another process is the only one: every sleep of the user's process ends after this time, and the
/// sleeper looks again.
inline constexpr std::chrono::milliseconds longest_sleep{50};

/// How long to sleep now: until the deadline, but not too long. Below zero: the deadline has passed.
[[nodiscard]] inline std::chrono::nanoseconds next_sleep(const Deadline& deadline) noexcept {
  if (!deadline) return longest_sleep;
  return std::min<std::chrono::nanoseconds>(longest_sleep, *deadline - std::chrono::steady_clock::now());
}

/// Words that workers and waiters use to find each other; in shared memory.
struct ResultSignal {
  EventCount ended;                        // rung for those who wait for many
  std::atomic<std::uint32_t> sleepers{0};  // threads of the user's process asleep on it; written by them alone
};

/// Told of the end of the tasks it watches, under the hub's lock: it must not run code of the user's.
class Watcher {
 public:
  virtual void ended(Handle handle) noexcept = 0;

 protected:
  ~Watcher() = default;
};

class CompletionHub {
 public:
  CompletionHub(SlotTable& slots, CompletionRing* rings, std::size_t count, ResultSignal& signal) noexcept
      : slots_(slots), rings_(rings), count_(count), signal_(signal) {}

  /// `watcher.ended(handle)` will be called once, perhaps before this returns.
  void watch(Handle handle, Watcher& watcher);

  /// `watcher` will not be called for it any more, once this has returned.
  void forget(Handle handle, Watcher& watcher);

  /// For tasks that end in this process, or whose worker can push no more.
  void deliver(Handle handle);

  /// Calls `try_take()` under the lock whenever something may have ended, until it says true. False at the deadline.
  /// Without a deadline, and while `expects_something()` is false under the lock, it sleeps until it is rung.
  template <class TryTake, class Expects>
  bool wait(std::chrono::nanoseconds spin, const Deadline& deadline, TryTake try_take, Expects expects_something);

  template <class TryTake>
  bool wait(std::chrono::nanoseconds spin, const Deadline& deadline, TryTake try_take) {
    return wait(spin, deadline, try_take, [] { return true; });
  }

  /// Guards the private state of watchers.
  [[nodiscard]] std::mutex& mutex() noexcept { return mutex_; }

  /// Wakes everyone in wait(), to look again.
  void ring() noexcept { signal_.ended.ring_all(); }

 private:
  void drain();
  void hand_over(Handle handle);
  void scan();
  [[nodiscard]] bool something_ended() const noexcept;

  std::mutex mutex_;
  SlotTable& slots_;
  CompletionRing* rings_;
  std::size_t count_;
  ResultSignal& signal_;
  std::vector<Watcher*> watchers_;                            // by handle; the first to come
  std::unordered_multimap<Handle, Watcher*> more_watchers_;  // the others
  std::size_t handed_over_ = 0;     // in the drain that is under way
};

inline void CompletionHub::watch(Handle handle, Watcher& watcher) {
  const std::lock_guard lock(mutex_);
  if (watchers_.size() <= handle) watchers_.resize(std::max<std::size_t>(handle + 1, watchers_.size() * 2));
  if (watchers_[handle] == nullptr) watchers_[handle] = &watcher;
  else more_watchers_.emplace(handle, &watcher);
  // From this flag on the worker pushes; before it, the task's end is seen here.
  if (set_flag(slots_[handle], [](StateWord word) { return word.with_notify(); }).is_final()) hand_over(handle);
}

inline void CompletionHub::forget(Handle handle, Watcher& watcher) {
  const std::lock_guard lock(mutex_);
  if (handle < watchers_.size() && watchers_[handle] == &watcher) watchers_[handle] = nullptr;
  const auto [first, last] = more_watchers_.equal_range(handle);
  const auto found = std::find_if(first, last, [&](const auto& entry) { return entry.second == &watcher; });
  if (found != last) more_watchers_.erase(found);
}

inline void CompletionHub::deliver(Handle handle) {
  {
    const std::lock_guard lock(mutex_);
    hand_over(handle);
  }
  ring();
}

/// Lemma "Done / waiting": a sleeper that counts itself, takes its key and finds nothing is rung by every later push.
/// The worker pushes, then reads the count of sleepers; the sleeper raises the count, then reads the rings; all four
/// are seq_cst, so one of the two sees the other.
template <class TryTake, class Expects>
bool CompletionHub::wait(std::chrono::nanoseconds spin, const Deadline& deadline, TryTake try_take,
                         Expects expects_something) {
  bool expects = true;
  const auto look = [&](std::uint32_t self) {
    bool others_too = false;
    bool taken = false;
    {
      const std::lock_guard lock(mutex_);
      handed_over_ = 0;
      drain();
      taken = try_take();
      expects = expects_something();
      others_too = handed_over_ > (taken ? 1U : 0U);
    }
    // What was drained for others is theirs to see: wake them. The load of the lemma for the second drainer.
    if (others_too && signal_.sleepers.load(std::memory_order_seq_cst) > self) ring();
    return taken;
  };
  if (look(0)) return true;
  for (Spinner spinner(spin); spinner.spin();) {
    if (something_ended() && look(0)) return true;
  }
  for (;;) {
    const std::chrono::nanoseconds sleep = next_sleep(deadline);
    if (sleep < sleep.zero()) return look(0);
    // The store of the lemma.
    signal_.sleepers.fetch_add(1, std::memory_order_seq_cst);
    const EventCount::Key key = signal_.ended.key();
    const bool taken = look(1);
    if (!taken) signal_.ended.wait(key, expects || deadline ? sleep : no_timeout);
    signal_.sleepers.fetch_sub(1, std::memory_order_seq_cst);
    if (taken || look(0)) return true;
  }
}

inline bool CompletionHub::something_ended() const noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    if (rings_[i].had_something()) return true;
  }
  return false;
}

inline void CompletionHub::drain() {
  bool complete = true;
  for (std::size_t i = 0; i < count_; ++i) {
    if (rings_[i].had_something()) complete &= rings_[i].drain([this](Handle handle) { hand_over(handle); });
  }
  if (!complete) scan();
}

inline void CompletionHub::scan() {
  for (std::size_t handle = 0; handle < watchers_.size(); ++handle) hand_over(static_cast<Handle>(handle));
}

inline void CompletionHub::hand_over(Handle handle) {
  if (handle >= watchers_.size() || !slots_[handle].load().is_final()) return;
  if (Watcher* watcher = std::exchange(watchers_[handle], nullptr)) {
    watcher->ended(handle);
    ++handed_over_;
  }
  if (more_watchers_.empty()) return;
  const auto [first, last] = more_watchers_.equal_range(handle);
  for (auto entry = first; entry != last; ++entry) {
    entry->second->ended(handle);
    ++handed_over_;
  }
  more_watchers_.erase(first, last);
}

}  // namespace procpool::detail
