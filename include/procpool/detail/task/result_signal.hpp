// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The words by which workers and those who wait for results find each other.
///
/// Shared by  the threads of the user's process and the workers; it lies in shared memory.
/// Crash      a worker that dies before it rings leaves sleepers who look again after a while.

#include <atomic>
#include <cstdint>

#include <procpool/detail/os/cpu_placement.hpp>
#include <procpool/detail/wait/event_count.hpp>

namespace procpool::detail {

struct ResultSignal {
  EventCount ended;  // rung for those who wait for many, and for those who nap

  // Threads of the user's process asleep on it, written by them alone:
  std::atomic<std::uint32_t> sleepers{0};  // to be rung when a watched task has ended, or a worker has run out of work
  std::atomic<std::uint32_t> nappers{0};   // to be rung when a worker has run out of work: see Naps

  // Where a thread of the user's process last went to sleep, waiting for a result; -1: none yet. A hint, written by
  // those threads, read by workers: see Worker::makes_way().
  std::atomic<int> sleeper_cpu{-1};

  /// The calling thread is about to sleep.
  void note_sleeper() noexcept {
    sleeper_cpu.store(current_cpu(), std::memory_order_relaxed);  // relaxed: a hint
  }
};

}  // namespace procpool::detail
