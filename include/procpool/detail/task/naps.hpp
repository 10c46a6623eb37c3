// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How a thread waits for short tasks while workers take all CPUs: not to be woken at the end of each, which would take
/// a worker's CPU each time, it sleeps for a moment, and finds the results of many.
///
/// Shared by  the threads of the user's process; workers ring for it.
/// Progress   a nap ends by its time, or before that when a worker runs out of work.
/// Crash      by its time.

#include <algorithm>
#include <atomic>
#include <chrono>

#include <procpool/detail/task/result_signal.hpp>
#include <procpool/detail/task/spin_time.hpp>

namespace procpool::detail {

class Naps {
 public:
  /// A small part of the scheduler's slice, which any wake-up may have to wait for on a CPU that is taken.
  static constexpr std::chrono::microseconds length{250};

  Naps(const SpinTime& spin, ResultSignal& signal) noexcept : spin_(spin), signal_(signal) {}

  /// Naps, at most for `limit`, if all workers are busy and the last waits were short ones; false if it did not. The
  /// caller then says whether it was worth it.
  ///
  /// Lemma "nap / out of work": a worker that runs out of work sets its bits, then reads the count of nappers; a napper
  /// raises the count, then reads the bits. All four are seq_cst, so one of the two sees the other.
  [[nodiscard]] bool nap(std::chrono::nanoseconds limit) noexcept {
    // relaxed: a hint
    if (short_waits_.load(std::memory_order_relaxed) < enough || limit <= limit.zero()) return false;
    if (!spin_.were_all_busy()) return false;
    // (1) seq_cst-rmw, pairs with (13) of worker.hpp: the store of the lemma; its loads are those of the bits.
    signal_.nappers.fetch_add(1, std::memory_order_seq_cst);
    const EventCount::Key key = signal_.ended.key();
    if (spin_.were_all_busy()) signal_.ended.wait(key, std::min<std::chrono::nanoseconds>(limit, length));
    signal_.nappers.fetch_sub(1, std::memory_order_relaxed);  // relaxed: who still counts it rings in vain
    return true;
  }

  /// The nap has, or has not, brought what the caller waits for.
  void was_worth_it(bool so) noexcept {
    if (!so) short_waits_.store(0, std::memory_order_relaxed);  // relaxed: a hint
  }

  /// Calls `sleep()`, which ends when a task does: where that takes less than a nap, time and again, naps are worth it.
  template <class Sleep>
  void time(Sleep sleep) noexcept {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    sleep();
    const int now = short_waits_.load(std::memory_order_relaxed);  // relaxed: a hint
    const int next = Clock::now() - begin < length ? std::min(now + 1, enough) : 0;
    if (next != now) short_waits_.store(next, std::memory_order_relaxed);  // relaxed: as above
  }

 private:
  static constexpr int enough = 3;

  const SpinTime& spin_;
  ResultSignal& signal_;
  std::atomic<int> short_waits_{0};  // the last ones in a row, up to enough
};

}  // namespace procpool::detail
