// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How a pool is made.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include <procpool/detail/pool/pool_core.hpp>
#include <procpool/process/usable_cpus.hpp>
#include <procpool/process/wait_policy.hpp>
#include <procpool/process/worker_limits.hpp>

namespace procpool {

/// Every field has a default; name those that differ: `ProcessPool pool{{.workers = 4, .max_tasks_per_worker = 1000}}`.
/// A negative count is a UsageError.
///
/// A task waits until a worker takes it. `queue_capacity` and `queue_bytes` are of each priority by itself. In bytes
/// only those arguments count that do not fit into a slot, which holds 48; one task may have more than all
/// `queue_bytes` if no other waits. Of several submits that wait for bytes, the one that has waited longest is passed
/// by few, so that one of large arguments does not wait for ever beside many of small ones. The arguments of tasks that
/// run come on top, and those of ended tasks whose futures are held. A lazy map counts what it has under way itself,
/// ended or not: beyond a chunk for each worker, no more than `queue_bytes`.
///
/// The system gives the pool memory as it is used, up to `shared_memory`. What arguments, results and arrays leave is
/// used again, first what lies in front; of each of the three, what lies behind the first 16 MiB and was not used for 3
/// to 6 s begins to go back to the system, 300 MB a second at most; while the pool holds more than that, it looks every
/// 3 s. When the pool has ended, its memory goes with the last of its futures, arrays and borrowed results.
struct PoolOptions {
  int workers = 0;                            ///< processes; 0: one per usable CPU, see usable_cpus()
  int min_workers = 0;                        ///< more than these leave after 3 s without work; 0: none leaves
  int queue_capacity = 65536;                 ///< tasks waiting before submit waits
  std::size_t queue_bytes = 0;                ///< bytes of their arguments before submit waits; 0: half of what
                                              ///< shared_memory has for arguments
  std::size_t shared_memory = 0;              ///< bytes reserved, not committed; 0: chosen from the machine
  int max_tasks_per_worker = 0;               ///< then the worker is replaced; 0: never recycled
  std::size_t max_memory_per_worker = 0;      ///< bytes, its own, not shared; above it, it is replaced; 0: no limit
  WaitPolicy wait = WaitPolicy::balanced;     ///< of workers for tasks, and of callers for results
  bool pin_workers = false;                   ///< each to one of the usable CPUs, in order, and from the first on again
                                              ///< if these are fewer; a worker's replacement to the same one
  WorkerLimits limits = {};                   ///< of each worker
  int library_threads = 1;                    ///< OpenMP, OpenBLAS, MKL in each worker; 0: left alone
  std::function<void()> preload = {};         ///< once, in the process that forks the workers; may capture anything;
                                              ///< threads may not outlive it, and processes that do are killed, at the
                                              ///< latest with the pool, often when the first worker ends
  std::function<void()> at_worker_exit = {};  ///< in each worker that ends in order
};

namespace detail {

/// PoolOptions with that number of workers, of whatever integral type.
template <std::integral Count>
[[nodiscard]] PoolOptions options_for(Count workers) {
  if (!std::in_range<int>(workers)) {
    throw UsageError("a pool of " + std::to_string(workers) + " workers; at most " + std::to_string(max_workers) +
                     " are possible");
  }
  PoolOptions options;
  options.workers = static_cast<int>(workers);
  return options;
}

inline void require_range(const char* option, int value, int least, int most) {
  if (value >= least && value <= most) return;
  throw UsageError(std::string("PoolOptions::") + option + " is " + std::to_string(value) + "; it must be from " +
                   std::to_string(least) + " to " + std::to_string(most));
}

[[nodiscard]] inline CoreOptions core_options(const PoolOptions& options) {
  require_range("workers", options.workers, 0, max_workers);
  require_range("min_workers", options.min_workers, 0, max_workers);
  require_range("queue_capacity", options.queue_capacity, 1, 1 << handle_bits);
  require_range("max_tasks_per_worker", options.max_tasks_per_worker, 0, std::numeric_limits<int>::max());
  require_range("library_threads", options.library_threads, 0, std::numeric_limits<int>::max());
  const int cpus = usable_cpus();
  return {.workers = static_cast<std::size_t>(options.workers > 0 ? options.workers : std::min(cpus, max_workers)),
          .queue_capacity = static_cast<std::size_t>(options.queue_capacity),
          .queue_bytes = options.queue_bytes,
          .shared_memory = options.shared_memory,
          .spin = {spin_budget(options.wait), static_cast<std::size_t>(cpus)}};
}

[[nodiscard]] inline WorkerProgram worker_program(PoolOptions options) {
  WorkerProgram program;
  program.preload = std::move(options.preload);
  program.at_exit = std::move(options.at_worker_exit);
  program.max_tasks = options.max_tasks_per_worker;
  program.max_memory = options.max_memory_per_worker;
  program.min_workers = static_cast<std::size_t>(options.min_workers);
  program.library_threads = options.library_threads;
  program.pin = options.pin_workers;
  program.limits = options.limits;
  return program;
}

}  // namespace detail

}  // namespace procpool
