// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Start-up: how long does a pool take to be made, to give its first result, to stop?

#include <optional>
#include <vector>

#include "../support/measure.hpp"
#include "../support/work.hpp"

namespace bench {

template <class Pool>
int measure_startup(const Options& options) {
  std::vector<double> make, first, stop, whole;
  for (int run = -1; run < options.count(21, 3); ++run) {
    std::optional<Pool> pool;
    Stopwatch watch;
    pool.emplace(2);
    const double made = watch.lap();
    require(pool->submit(increment, run).get() == run + 1, "x + 1");
    const double answered = watch.lap();
    pool.reset();
    const double stopped = watch.lap();
    if (run < 0) continue;
    make.push_back(made);
    first.push_back(answered);
    stop.push_back(stopped);
    whole.push_back(made + answered + stopped);
  }
  const Report report{"startup", Pool::name};
  report.print("make", "ns", make);
  report.print("first result", "ns", first);
  report.print("stop", "ns", stop);
  report.print("all three", "ns", whole);
  return 0;
}

}  // namespace bench
