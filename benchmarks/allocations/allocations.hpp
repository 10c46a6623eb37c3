// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Allocations: how often does a small task take memory from the heap, once the pool is warm?

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "../support/allocation_counter.hpp"
#include "../support/measure.hpp"

namespace bench {

/// What a task sees where it runs.
struct Sighting {
  pid_t pid;
  long allocations;
};

inline Sighting look(int /*argument*/) { return {getpid(), allocations_so_far()}; }

/// The first and the last count that one worker's tasks saw, and how many they were.
struct WorkerSpan {
  long least = std::numeric_limits<long>::max(), most = 0, tasks = 0;

  void add(long allocations) {
    least = std::min(least, allocations);
    most = std::max(most, allocations);
    ++tasks;
  }
};

/// Allocations a task, in the user's process and in the workers; for threads these are one.
struct Counts {
  double user = 0, worker = 0;
};

/// `pass` sends `count` tasks that look, and adds what each saw to the spans.
template <class Pool, class Pass>
Counts count_allocations(Pool& pool, Pass pass, int count) {
  std::map<pid_t, WorkerSpan> spans{{getpid(), {}}};
  for (const pid_t pid : pool.processes()) spans[pid] = {};  // So the map need not grow where allocations are counted.
  const long before = allocations_so_far();
  pass(spans, count);
  Counts counts;
  counts.user = static_cast<double>(allocations_so_far() - before) / count;
  for (const auto& [pid, span] : spans) {
    if (pid == getpid() || span.tasks < 2) continue;
    counts.worker += static_cast<double>(span.most - span.least) / count;
  }
  return counts;
}

template <class Pool>
void report_allocations(const Options& options, const std::string& how, Counts (*measure)(Pool&, int), int tasks) {
  Pool pool{2};
  std::vector<double> user, worker;
  for (int run = -1; run < options.count(5, 1); ++run) {
    const Counts counts = measure(pool, options.count(tasks, tasks / 10));
    if (run < 0) continue;  // It warmed the pool up.
    user.push_back(counts.user);
    worker.push_back(counts.worker);
  }
  const Report report{"allocations", Pool::name};
  report.print(how + ": caller", "allocations", user);
  if (!pool.processes().empty()) report.print(how + ": worker", "allocations", worker);
}

/// All submitted, then all got; the vector that holds the futures is not counted.
template <class Pool>
Counts bulk_allocations(Pool& pool, int count) {
  std::vector<decltype(pool.submit(look, 0))> futures;
  futures.reserve(static_cast<std::size_t>(count));
  return count_allocations(
      pool,
      [&](std::map<pid_t, WorkerSpan>& spans, int tasks) {
        for (int x = 0; x < tasks; ++x) futures.push_back(pool.submit(look, x));
        for (auto& future : futures) {
          const Sighting seen = future.get();
          spans[seen.pid].add(seen.allocations);
        }
        futures.clear();
      },
      count);
}

template <class Pool>
Counts round_trip_allocations(Pool& pool, int count) {
  return count_allocations(
      pool,
      [&](std::map<pid_t, WorkerSpan>& spans, int tasks) {
        for (int x = 0; x < tasks; ++x) {
          const Sighting seen = pool.submit(look, x).get();
          spans[seen.pid].add(seen.allocations);
        }
      },
      count);
}

template <class Pool>
int measure_allocations(const Options& options, int tasks = 20'000) {
  report_allocations<Pool>(options, "all at once", bulk_allocations<Pool>, tasks);
  report_allocations<Pool>(options, "one at a time", round_trip_allocations<Pool>, tasks);
  return 0;
}

}  // namespace bench
