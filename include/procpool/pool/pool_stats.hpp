// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a pool tells of itself.

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <procpool/detail/pool/pool_core.hpp>

namespace procpool {

/// A worker, as it was at some moment.
struct WorkerInfo {
  ::pid_t pid = 0;  ///< 0: not forked yet, or dead and not yet replaced
  std::size_t index = 0;
  std::uint64_t tasks_done = 0;             ///< by all that had this index; may be one too many for each death
  std::string label = {};                   ///< of the task in hand, at most 64 bytes of it; empty: none
  std::chrono::nanoseconds running_for{0};  ///< the task in hand, to within about 25 ms; zero: none, or just begun
};

/// Counts since the pool was made. A chunk of a map counts as one task.
struct PoolStats {
  std::uint64_t submitted = 0;
  std::uint64_t completed = 0;         ///< ended, well or not; cancelled and killed ones too
  std::uint64_t failed = 0;            ///< by an exception or a death; a map whose items fail has not failed itself
  std::uint64_t dropped_failures = 0;  ///< failures of tasks whose future was dropped: nobody was told
  std::uint64_t worker_deaths = 0;
  std::uint64_t queued = 0;  ///< waiting for a worker
  std::uint64_t running = 0;
  std::uint64_t recycled = 0;  ///< workers that left in order: after their tasks, for their memory, or idle
};

namespace detail {

[[nodiscard]] inline std::vector<WorkerInfo> describe_workers(PoolCore& core) {
  core.require_home();
  std::vector<WorkerInfo> workers;
  for (std::size_t index = 0; index < core.layout().workers(); ++index) {
    const Row& row = core.layout().row(index);
    WorkerInfo info;
    info.index = index;
    const LifeRegister& lives = core.layout().lives(index);
    // (1) acquire-load, pairs with (5) of zygote.hpp: the pid belongs to it.
    const Life born = lives.born.load(std::memory_order_acquire);
    if (born != lives.dead.load(std::memory_order_relaxed)) {  // relaxed: only compared
      info.pid = lives.pid.load(std::memory_order_relaxed);    // relaxed: published with `born`
    }
    info.tasks_done = row.tasks_done.load(std::memory_order_relaxed);  // relaxed: a statistic
    // (2) acquire-load, pairs with (3) of worker.hpp: the label read next is of this task, or of a neighbour of it.
    const std::uint64_t before = row.current.load(std::memory_order_acquire);
    const std::string label = row.label.was_shown();
    // relaxed: only compared, to sort out most labels that have changed meanwhile
    if (before != 0 && before == row.current.load(std::memory_order_relaxed)) info.label = label;
    info.running_for = core.supervisor().running_for(index);
    if (index < core.workers() || info.pid != 0) workers.push_back(std::move(info));  // the last may yet be leaving
  }
  return workers;
}

[[nodiscard]] inline PoolStats gather_stats(PoolCore& core) {
  core.require_home();
  Exchange& exchange = core.exchange();
  PoolStats stats;
  stats.dropped_failures = exchange.dropped_failures();
  stats.failed = exchange.past_failures();
  stats.worker_deaths = core.supervisor().worker_deaths();
  stats.recycled = core.supervisor().recycled();
  stats.submitted = core.submitted();
  for (Handle handle = 0; handle < exchange.slots.was_used(); ++handle) {
    const StateWord word = exchange.slots[handle].load();
    if (word.is_in_hand() && word.owner() != no_worker) ++stats.running;
    if (word.phase() == Phase::queued || word.is_out_of_ring()) ++stats.queued;
    if (word.phase() == Phase::lost || word.is_overdue()) ++stats.failed;
    else if (word.phase() == Phase::done && Exchange::is_failure(exchange.slots[handle].result)) ++stats.failed;
  }
  stats.completed = stats.submitted - std::min(stats.submitted, stats.queued + stats.running);
  return stats;
}

}  // namespace detail

}  // namespace procpool
