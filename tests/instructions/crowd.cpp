// SPDX-License-Identifier: BSL-1.0

/// @file
/// Small tasks of a pool of WORKERS workers, for callgrind to count: count_crowd.py runs this under it.
///
/// As in counted.cpp nobody waits for a task: all are submitted while the workers are held, and all are done before the
/// first is taken. But the workers, on however many processors there are, take them at the same time, and each falls
/// asleep at the end.

#include <valgrind/callgrind.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/shared_page.hpp"

namespace {

constexpr int tasks = 12'800;

int add_one(int x) { return x + 1; }

void begin_count() {
  CALLGRIND_ZERO_STATS;
  CALLGRIND_TOGGLE_COLLECT;
}

void end_count(const char* what) {
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_DUMP_STATS_AT(what);
}

std::vector<procpool::Future<int>> submit_all(procpool::ProcessPool<>& pool) {
  std::vector<procpool::Future<int>> futures;
  futures.reserve(tasks);
  for (int i = 0; i < tasks; ++i) futures.push_back(pool.submit(add_one, i));
  return futures;
}

long take_all(std::vector<procpool::Future<int>>& futures) {
  long sum = 0;
  for (procpool::Future<int>& future : futures) sum += future.get();
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return EXIT_FAILURE;
  const int workers = std::atoi(argv[1]);
  const support::SharedGate shared;
  support::Gate* gate = shared.get();
  procpool::ProcessPool pool{{.workers = workers, .queue_capacity = 2 * tasks, .wait = procpool::WaitPolicy::block}};
  std::vector<procpool::Future<int>> futures = submit_all(pool);  // Now memory is warm, and slots are free.
  take_all(futures);

  std::vector<procpool::Future<void>> held;
  for (int i = 0; i < workers; ++i) {
    held.push_back(pool.submit([gate] {
      gate->pass();
      begin_count();
    }));
  }
  if (!gate->is_reached_by(workers)) return EXIT_FAILURE;
  begin_count();
  futures = submit_all(pool);
  end_count("submit");
  gate->open();
  pool.wait_idle();
  pool.run_on_each_worker([] { end_count("claim to publish"); });
  begin_count();
  const long sum = take_all(futures);
  end_count("take");
  std::printf("tasks: %d\n", tasks);
  return sum == long{tasks} * (tasks + 1) / 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
