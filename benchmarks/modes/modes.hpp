// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Modes: is a pool as fast the next time? 20 bulk passes in a row, the slowest over the fastest. A protocol that wakes
/// somebody at every submit while anybody sleeps is fast or slow by luck. What the rivals show, and above all the
/// serial one, is the machine's own part.

#include <algorithm>
#include <string>
#include <vector>

#include "../bulk/bulk.hpp"

namespace bench {

inline double spread(const std::vector<double>& times) {
  return *std::max_element(times.begin(), times.end()) / *std::min_element(times.begin(), times.end());
}

template <class Pool>
void measure_spread(const Options& options, int workers) {
  Pool pool{workers};
  const int tasks = options.count(100'000, 5'000);
  bulk_pass(pool, tasks);
  std::vector<double> submit, whole;
  for (int run = 0; run < 20; ++run) {
    const BulkTimes times = bulk_pass(pool, tasks);
    submit.push_back(times.submit);
    whole.push_back(times.submit + times.get);
  }
  const Report report{"modes", Pool::name};
  const std::string count = workers == 1 ? "1 worker: " : "2 workers: ";
  report.print(count + "submit", "ratio", {spread(submit)});
  report.print(count + "a task", "ratio", {spread(whole)});
}

template <class Pool>
int measure_modes(const Options& options) {
  for (const int workers : {1, 2}) measure_spread<Pool>(options, workers);
  return 0;
}

}  // namespace bench
