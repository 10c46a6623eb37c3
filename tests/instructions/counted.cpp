// SPDX-License-Identifier: BSL-1.0

/// @file
/// The steps of small tasks and of maps, for callgrind to count: check_instructions.py runs this under it.
///
/// What is counted never waits, for how long and how often one waits differs from run to run. The one worker is held by
/// a task while tasks are submitted, and has finished all of them before the first result is taken.

#include <valgrind/callgrind.h>

#include <cstddef>
#include <cstdio>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/shared_page.hpp"

namespace {

constexpr int tasks = 10'000;
constexpr int ints = 1'000'000;
constexpr int texts = 20'000;

int add_one(int x) { return x + 1; }
std::string with_dot(std::string text) { return text += '.'; }

/// Of the thread that calls it, and from then on.
void begin_count() {
  CALLGRIND_ZERO_STATS;
  CALLGRIND_TOGGLE_COLLECT;
}

/// What was counted has happened so many times.
void end_count(const char* what, int times) {
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_DUMP_STATS_AT(what);
  std::printf("%s: %d\n", what, times);
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

/// Small tasks: submit, the worker's way from claim to publish, and take.
bool count_tasks(procpool::ProcessPool<>& pool, support::Gate* gate) {
  std::vector<procpool::Future<int>> futures = submit_all(pool);  // Now memory is warm, and slots are free.
  take_all(futures);

  const procpool::Future<void> held = pool.submit([gate] {
    gate->pass();
    begin_count();
  });
  if (!gate->is_reached_by(1)) return false;
  begin_count();
  futures = submit_all(pool);
  end_count("submit", tasks);
  procpool::Future<void> last = pool.submit([] { end_count("claim to publish", tasks); });
  gate->open();
  last.get();
  begin_count();
  const long sum = take_all(futures);
  end_count("take", tasks);
  return sum == long{tasks} * (tasks + 1) / 2;
}

/// Items of a map, on both sides. The few waits between its chunks do not count for much.
bool count_maps(procpool::ProcessPool<>& pool) {
  std::vector<int> numbers(ints);
  std::iota(numbers.begin(), numbers.end(), 0);
  const std::vector<std::string> words(texts, "a text that does not fit into a small string");
  auto map_ints = pool.with({.chunk_size = ints / 4});
  auto map_texts = pool.with({.chunk_size = texts / 4});
  static_cast<void>(map_ints.map(add_one, numbers));
  static_cast<void>(map_texts.map(with_dot, words));

  pool.submit([] { begin_count(); }).get();
  begin_count();
  const std::vector<int> more = map_ints.map(add_one, numbers);
  end_count("caller, item of a map of ints", ints);
  pool.submit([] { end_count("worker, item of a map of ints", ints); }).get();

  pool.submit([] { begin_count(); }).get();
  begin_count();
  const std::vector<std::string> longer = map_texts.map(with_dot, words);
  end_count("caller, item of a map of texts", texts);
  pool.submit([] { end_count("worker, item of a map of texts", texts); }).get();
  return more.back() == ints && longer.back().back() == '.';
}

}  // namespace

int main() {
  const support::SharedGate gate;
  procpool::ProcessPool pool{{.workers = 1, .queue_capacity = 2 * tasks, .wait = procpool::WaitPolicy::block}};
  if (count_tasks(pool, gate.get()) && count_maps(pool)) return 0;
  std::fputs("a result is wrong\n", stderr);
  return 1;
}
