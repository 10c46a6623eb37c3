// SPDX-License-Identifier: BSL-1.0

/// @file
/// Deaths: what does it cost when workers die? 999 tasks of half a millisecond, 30 of which end their worker, against
/// the same without deaths; from a death to the first task of the replacement; how late a timeout is seen; from the
/// death of the zygote to the last future that says so; from that of the user's process to that of all its kin.
///
/// No rival runs here: of multiprocessing.Pool's tasks those thirty never end, and a ProcessPoolExecutor loses all.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
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

[[noreturn]] void hang() {
  for (;;) ::pause();
}

/// Nanoseconds from the death of a pool's zygote to the failure of the last of a thousand futures.
double breakage() {
  procpool::ProcessPool pool{2};
  const ::pid_t zygote = pool.submit([] { return ::getppid(); }).get();
  std::vector<procpool::Future<void>> open;
  for (int i = 0; i < 1000; ++i) open.push_back(pool.submit(hang));
  bench::Stopwatch watch;
  ::kill(zygote, SIGKILL);
  procpool::wait_all(open);
  const double time = watch.lap();
  for (auto& future : open) bench::require(future.exception() != nullptr, "the futures' failure");
  return time;
}

/// Nanoseconds from the death of a process, whose pool has two busy workers, to that of the last of its kin: then
/// nobody holds the end of a pipe any more that all have inherited.
double extinction() {
  int pipe[2];
  bench::require(::pipe(pipe) == 0, "a pipe");
  const ::pid_t user = ::fork();
  if (user == 0) {
    ::close(pipe[0]);
    procpool::ProcessPool pool{2};
    const auto tell_and_hang = [end = pipe[1]] {
      if (::write(end, "b", 1) == 1) hang();
    };
    const auto first = pool.submit(tell_and_hang);
    const auto second = pool.submit(tell_and_hang);
    hang();
  }
  ::close(pipe[1]);
  char word = 0;
  for (int busy = 0; busy < 2; ++busy) bench::require(::read(pipe[0], &word, 1) == 1, "two busy workers");
  bench::Stopwatch watch;
  ::kill(user, SIGKILL);
  bench::require(::read(pipe[0], &word, 1) == 0, "the end of all");
  const double time = watch.lap();
  ::close(pipe[0]);
  ::waitpid(user, nullptr, 0);
  return time;
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Options options = bench::options(argc, argv);
  const bench::Report report{"deaths", "procpool"};
  std::vector<double> broken, extinct;
  for (int run = 0; run < options.count(21, 3); ++run) broken.push_back(breakage());
  for (int run = 0; run < options.count(21, 3); ++run) extinct.push_back(extinction());
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
  report.print("from the zygote's death to the last future", "ns", broken);
  report.print("from the user's process's death to all", "ns", extinct);
}
