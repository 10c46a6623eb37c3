// SPDX-License-Identifier: BSL-1.0

/// @file
/// Two worker processes from nothing to nothing; and four, made and stopped by a program that holds 10 MB, with what a
/// worker then has for itself.

#include <sched.h>
#include <sys/types.h>

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "../support/procpool_pool.hpp"
#include "startup.hpp"

namespace {

/// KB that this process shares with no other, as the kernel counts them.
double private_memory(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/smaps_rollup";
  std::FILE* file = std::fopen(path.c_str(), "r");
  bench::require(file != nullptr, "a worker's smaps_rollup");
  char line[256];
  double total = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    double size = 0;
    if (std::sscanf(line, "Private_Clean: %lf kB", &size) == 1 ||
        std::sscanf(line, "Private_Dirty: %lf kB", &size) == 1) {
      total += size;
    }
  }
  std::fclose(file);
  return total;
}

void measure_four_workers(const bench::Options& options) {
  const std::vector<char> held(10'000'000, 'x');
  std::vector<double> times, memory;
  for (int run = -1; run < options.count(21, 3); ++run) {
    std::optional<bench::ProcpoolPool> pool;
    bench::Stopwatch watch;
    pool.emplace(4);
    const double made = watch.lap();
    bench::require(pool->submit(bench::increment, run).get() == run + 1, "x + 1");
    while (pool->workers().size() < 4) ::sched_yield();  // One that has just been forked may not be listed yet.
    std::vector<double> of_each;
    for (const pid_t worker : pool->workers()) of_each.push_back(private_memory(worker));
    watch.lap();
    pool.reset();
    if (run < 0) continue;
    times.push_back(made + watch.lap());
    memory.push_back(bench::median(of_each));
  }
  bench::require(held.back() == 'x', "what the program holds");
  const bench::Report report{"startup", "procpool"};
  report.print("4 workers, 10 MB held: make and stop", "ns", times);
  report.print("4 workers, 10 MB held: a worker's own memory", "KB", memory);
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Options options = bench::options(argc, argv);
  bench::measure_startup<bench::ProcpoolPool>(options);
  measure_four_workers(options);
}
