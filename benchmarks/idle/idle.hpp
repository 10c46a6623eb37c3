// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Idle: how much CPU time does a pool use that has nothing to do?

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "../support/measure.hpp"
#include "../support/work.hpp"

namespace bench {

/// CPU time in nanoseconds that the thread of this folder in /proc used so far; exact for a thread that sleeps.
inline double thread_time(const std::filesystem::path& task) {
  std::ifstream file{task / "schedstat"};
  double time = 0;
  require(static_cast<bool>(file >> time), "no CPU time in " + task.string() + "/schedstat");
  return time;
}

/// CPU time in nanoseconds that `processes` and all threads of this one but the calling one used so far.
inline double cpu_time(std::vector<pid_t> processes) {
  processes.push_back(getpid());
  const std::string own_thread = std::to_string(gettid());
  double sum = 0;
  for (const pid_t process : processes) {
    for (const auto& task : std::filesystem::directory_iterator{"/proc/" + std::to_string(process) + "/task"}) {
      if (task.path().filename() != own_thread) sum += thread_time(task.path());
    }
  }
  return sum;
}

/// CPU time in nanoseconds that an idle pool uses in a second.
template <class Pool>
double idle_time(Pool& pool, std::chrono::milliseconds watched) {
  std::this_thread::sleep_for(std::chrono::seconds{1});  // A pool may linger a while for more work.
  const std::vector<pid_t> processes = pool.processes();
  const double before = cpu_time(processes);
  std::this_thread::sleep_for(watched);
  return (cpu_time(processes) - before) / std::chrono::duration<double>(watched).count();
}

template <class Pool>
int measure_idle(const Options& options) {
  const std::chrono::milliseconds watched{options.count(2000, 300)};
  Pool pool{2};
  const Report report{"idle", Pool::name};
  report.print("CPU time a second: never used", "ns", {idle_time(pool, watched)});
  for (int x = 0; x < 1000; ++x) require(pool.submit(increment, x).get() == x + 1, "x + 1");
  report.print("CPU time a second: after work", "ns", {idle_time(pool, watched)});
  return 0;
}

}  // namespace bench
