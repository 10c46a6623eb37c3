// SPDX-License-Identifier: BSL-1.0

/// @file
/// Parts: what do the steps cost, uncontended, that each task takes some of? The one place for Google Benchmark: loops
/// of nanoseconds, of which it finds out how many make a measurement.

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include <benchmark/benchmark.h>
#include <boost/interprocess/sync/interprocess_mutex.hpp>

#include <procpool/detail/memory/robust_mutex.hpp>
#include <procpool/detail/wait/event_count.hpp>

#include "json_lines.hpp"

namespace {

template <class Mutex>
void lock_and_unlock(benchmark::State& state) {
  Mutex mutex;
  for (auto _ : state) {
    mutex.lock();
    benchmark::ClobberMemory();
    mutex.unlock();
  }
}

void ring_with_nobody_asleep(benchmark::State& state) {
  procpool::detail::EventCount event;
  for (auto _ : state) event.ring_one();
}

void notify_with_nobody_asleep(benchmark::State& state) {
  std::condition_variable condition;
  for (auto _ : state) condition.notify_one();
}

void make_and_resolve_a_promise(benchmark::State& state) {
  for (auto _ : state) {
    std::promise<int> promise;
    std::future<int> future = promise.get_future();
    promise.set_value(1);
    benchmark::DoNotOptimize(future.get());
  }
}

void read_the_clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(std::chrono::steady_clock::now());
}

void register_all(const bench::Options& options) {
  const std::pair<const char*, void (*)(benchmark::State&)> all[] = {
      {"procpool/lock + unlock", lock_and_unlock<procpool::detail::RobustMutex>},
      {"std::mutex/lock + unlock", lock_and_unlock<std::mutex>},
      {"interprocess_mutex/lock + unlock", lock_and_unlock<boost::interprocess::interprocess_mutex>},
      {"procpool/wake nobody", ring_with_nobody_asleep},
      {"std::condition_variable/wake nobody", notify_with_nobody_asleep},
      {"std::promise/promise + get", make_and_resolve_a_promise},
      {"steady_clock/read", read_the_clock}};
  for (const auto& [name, run] : all) {
    benchmark::RegisterBenchmark(name, run)->Repetitions(options.count(9, 3))->MinTime(options.quick ? 0.002 : 0.02);
  }
}

}  // namespace

int main(int argc, char** argv) {
  register_all(bench::options(argc, argv));
  // With one thread only, the C library leaves the atomic instructions out of its private mutexes.
  std::promise<void> end;
  const std::jthread other{[wait = end.get_future()] { wait.wait(); }};
  bench::JsonLines reporter{"parts"};
  benchmark::RunSpecifiedBenchmarks(&reporter);
  end.set_value();
}
