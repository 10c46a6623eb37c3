// SPDX-License-Identifier: BSL-1.0

/// @file
/// Deaths: what does it cost when workers die? 999 tasks of half a millisecond, 30 of which end their worker, against
/// the same without deaths; from a death to the first task of the replacement; how late a timeout is seen.
///
/// No rival runs here: of multiprocessing.Pool's tasks those thirty never end, and a ProcessPoolExecutor loses all.

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/measure.hpp"

namespace {

using namespace std::chrono_literals;

void spin(std::chrono::nanoseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) continue;
}

int work(int task, bool dies) {
  spin(500us);
  if (!dies) return task;
  switch (task % 3) {
    case 0: ::raise(SIGKILL); break;
    case 1: ::raise(SIGSEGV); break;
    default: ::_exit(7);
  }
  return -1;
}

/// Nanoseconds for a thousand tasks, of which every `apart`th dies; 0: none.
double pass(procpool::ProcessPool<>& pool, int tasks, int apart) {
  std::vector<procpool::Future<int>> futures;
  futures.reserve(static_cast<std::size_t>(tasks));
  bench::Stopwatch watch;
  int deaths = 0;
  for (int i = 0; i < tasks; ++i) futures.push_back(pool.submit(work, i, apart != 0 && i % apart == apart - 1));
  for (int i = 0; i < tasks; ++i) {
    try {
      bench::require(futures[static_cast<std::size_t>(i)].get() == i, "the task's number");
    } catch (const procpool::WorkerDied&) {
      ++deaths;
    }
  }
  const double time = watch.lap();
  bench::require(deaths == (apart != 0 ? tasks / apart : 0), "as many deaths as there were deadly tasks");
  return time;
}

/// Nanoseconds from a death to the first task of the only worker's replacement, as seen by its clock, which is ours.
double replacement(procpool::ProcessPool<>& pool) {
  using Clock = std::chrono::steady_clock;
  const auto now = [] { return Clock::now().time_since_epoch().count(); };
  const auto before = Clock::now();
  procpool::Future<void> death = pool.submit([] { ::raise(SIGKILL); });
  procpool::Future<Clock::rep> next = pool.submit(now);
  const double time = static_cast<double>(next.get() - before.time_since_epoch().count());
  bench::require(death.exception() != nullptr, "the death");
  return time;
}

/// Nanoseconds from the deadline of a task that never ends to the moment at which its future has failed.
double lateness(procpool::ProcessPool<>& pool, std::chrono::milliseconds timeout) {
  bench::Stopwatch watch;
  procpool::Future<void> future = pool.with({.timeout = timeout, .grace = 0ms}).submit([] {
    for (;;) ::pause();
  });
  future.wait();
  return watch.lap() - std::chrono::duration<double, std::nano>(timeout).count();
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Options options = bench::options(argc, argv);
  const bench::Report report{"deaths", "procpool"};
  {
    procpool::ProcessPool pool{2};
    const int tasks = options.count(999, 99);
    std::vector<double> without, with, ratios;
    for (int run = -1; run < options.count(5, 1); ++run) {
      const double quiet = pass(pool, tasks, 0);
      const double deadly = pass(pool, tasks, 33);
      if (run < 0) continue;
      without.push_back(quiet);
      with.push_back(deadly);
      ratios.push_back(deadly / quiet);
    }
    report.print("999 tasks: no death", "ns", without);
    report.print("999 tasks: 30 deaths", "ns", with);
    report.print("999 tasks: ratio", "ratio", ratios);
  }
  procpool::ProcessPool pool{1};
  std::vector<double> replaced, late;
  for (int run = 0; run < options.count(101, 5); ++run) replaced.push_back(replacement(pool));
  for (int run = 0; run < options.count(21, 3); ++run) late.push_back(lateness(pool, 50ms));
  report.print("to the replacement's first task", "ns", replaced);
  report.print("a timeout is seen late by", "ns", late);
}
