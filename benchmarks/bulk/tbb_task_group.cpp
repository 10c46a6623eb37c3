// SPDX-License-Identifier: BSL-1.0

/// @file
/// Small tasks on two threads of oneTBB, by task_group: no futures, each task writes its result where it belongs.

#include <cstddef>
#include <vector>

#include <oneapi/tbb/task_group.h>

#include "../support/measure.hpp"
#include "../support/tbb_pool.hpp"
#include "../support/work.hpp"

int main(int argc, char** argv) {
  const bench::Options options = bench::options(argc, argv);
  const int tasks = options.count(100'000, 5'000);
  bench::TbbPool pool{2};
  std::vector<double> times;
  for (int run = -1; run < options.count(9, 3); ++run) {
    std::vector<int> results(static_cast<std::size_t>(tasks));
    bench::Stopwatch watch;
    pool.submit([&results, tasks] {
          tbb::task_group group;
          for (int x = 0; x < tasks; ++x) {
            group.run([&results, x] { results[static_cast<std::size_t>(x)] = bench::increment(x); });
          }
          group.wait();
          return true;
        })
        .get();
    const double time = watch.lap();
    long sum = 0;
    for (const int result : results) sum += result;
    bench::require(sum == static_cast<long>(tasks) * (tasks + 1) / 2, "the sum of all x + 1");
    if (run >= 0) times.push_back(time / tasks);
  }
  bench::Report{"bulk", "tbb_task_group"}.print("a task", "ns", times);
}
