// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Bulk: what does a small task with a future cost if all are submitted before the first get?

#include <cstddef>
#include <cstdio>
#include <vector>

#include "../support/measure.hpp"
#include "../support/work.hpp"

namespace bench {

/// The time of one pass over `tasks` tasks, in nanoseconds a task.
struct BulkTimes {
  double submit, get;
};

/// Submits x → x + 1 for each x below `tasks`, then gets every result.
template <class Pool>
BulkTimes bulk_pass(Pool& pool, int tasks) {
  std::vector<decltype(pool.submit(increment, 0))> futures;
  futures.reserve(static_cast<std::size_t>(tasks));
  Stopwatch watch;
  for (int x = 0; x < tasks; ++x) futures.push_back(pool.submit(increment, x));
  const double submit = watch.lap();
  long sum = 0;
  for (auto& future : futures) sum += future.get();
  const double get = watch.lap();
  require(sum == static_cast<long>(tasks) * (tasks + 1) / 2, "the sum of all x + 1");
  return {submit / tasks, get / tasks};
}

/// Passes until `runs` are recorded; the one before them warms the pool up.
template <class Pool>
int measure_bulk(const Options& options, int tasks = 100'000) {
  const int count = options.quick ? tasks / 20 : tasks;
  Pool pool{2};
  bulk_pass(pool, count);
  std::vector<double> submit, get, whole;
  for (int run = 0; run < options.count(9, 3); ++run) {
    const BulkTimes times = bulk_pass(pool, count);
    submit.push_back(times.submit);
    get.push_back(times.get);
    whole.push_back(times.submit + times.get);
  }
  const Report report{"bulk", Pool::name};
  report.print("submit", "ns", submit);
  report.print("get", "ns", get);
  report.print("a task", "ns", whole);
  return 0;
}

}  // namespace bench
