// SPDX-License-Identifier: BSL-1.0

/// @file
/// Whole processes: what does it cost to run a program of its own for each item, two at a time? The program is `true`,
/// which does nothing.

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <vector>

#include "../support/measure.hpp"
#include "../support/procpool_pool.hpp"

namespace {

/// The status that the program ends with, or -1.
int run_program(int /*item*/) {
  char name[] = "true";
  char* arguments[] = {name, nullptr};
  pid_t child = 0;
  int status = 0;
  if (posix_spawnp(&child, name, nullptr, nullptr, arguments, environ) != 0) return -1;
  return waitpid(child, &status, 0) == child ? status : -1;
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Options options = bench::options(argc, argv);
  const int count = options.count(1000, 50);
  const std::vector<int> items(static_cast<std::size_t>(count));
  bench::ProcpoolPool pool{2};
  std::vector<double> times;
  for (int run = -1; run < options.count(3, 1); ++run) {
    bench::Stopwatch watch;
    const std::vector<int> ends = pool.map(run_program, items);
    const double time = watch.lap();
    bench::require(ends == items, "0 from each program");
    if (run >= 0) times.push_back(time / count);
  }
  bench::Report{"whole_process", "procpool"}.print("a program", "ns", times);
}
