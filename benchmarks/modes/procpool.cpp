// SPDX-License-Identifier: BSL-1.0

/// @file
/// Modes: is a pool as fast the next time? 20 bulk passes in a row, the slowest over the fastest. A protocol that wakes
/// somebody at every submit while anybody sleeps is fast or slow by luck.

#include <algorithm>
#include <string>
#include <vector>

#include "../bulk/bulk.hpp"
#include "../support/procpool_pool.hpp"

namespace {

double spread(const std::vector<double>& times) {
  return *std::max_element(times.begin(), times.end()) / *std::min_element(times.begin(), times.end());
}

void measure(const bench::Options& options, int workers) {
  bench::ProcpoolPool pool{workers};
  const int tasks = options.count(100'000, 5'000);
  bench::bulk_pass(pool, tasks);
  std::vector<double> submit, whole;
  for (int run = 0; run < 20; ++run) {
    const bench::BulkTimes times = bench::bulk_pass(pool, tasks);
    submit.push_back(times.submit);
    whole.push_back(times.submit + times.get);
  }
  const bench::Report report{"modes", "procpool"};
  const std::string count = workers == 1 ? "1 worker: " : "2 workers: ";
  report.print(count + "submit", "ratio", {spread(submit)});
  report.print(count + "a task", "ratio", {spread(whole)});
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Options options = bench::options(argc, argv);
  for (const int workers : {1, 2}) measure(options, workers);
}
