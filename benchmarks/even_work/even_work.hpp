// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Even work: how much of two processors do two workers get out of a thousand tasks of equal length? The ideal is the
/// same tasks in two bare loops, one on each of two threads; it is measured in turns with the pool.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "../support/measure.hpp"
#include "../support/work.hpp"

namespace bench {

inline constexpr int even_tasks = 1000;

/// A chain that takes this many nanoseconds here, by the least of some tries.
inline Chain chain_of(double nanoseconds) {
  const Chain probe{100'000};
  double least = 1e9;
  for (std::uint64_t seed = 0; seed < 15; ++seed) {
    Stopwatch watch;
    const std::uint64_t end = probe(seed);
    least = std::min(least, watch.lap());
    require(end != 0, "a chain that never reaches 0");
  }
  return Chain{static_cast<std::uint32_t>(nanoseconds * probe.steps / least)};
}

/// The xor of all results, so that no task is left out.
struct EvenPass {
  double time;
  std::uint64_t check;
};

/// The mean of what the two loops take: no tail of one of them is counted.
inline EvenPass ideal_pass(const Chain& chain, int tasks) {
  std::array<EvenPass, 2> halves{};
  const auto run = [&chain, &halves, tasks](int half) {
    Stopwatch watch;
    std::uint64_t check = 0;
    for (int i = half; i < tasks; i += 2) check ^= chain(static_cast<std::uint64_t>(i));
    halves[static_cast<std::size_t>(half)] = {watch.lap(), check};
  };
  {
    const std::jthread first{run, 0};
    const std::jthread second{run, 1};
  }
  return {(halves[0].time + halves[1].time) / 2, halves[0].check ^ halves[1].check};
}

template <class Pool>
EvenPass pool_pass(Pool& pool, const Chain& chain, int tasks) {
  std::vector<decltype(pool.submit(chain, std::uint64_t{}))> futures;
  futures.reserve(static_cast<std::size_t>(tasks));
  Stopwatch watch;
  for (int i = 0; i < tasks; ++i) futures.push_back(pool.submit(chain, static_cast<std::uint64_t>(i)));
  std::uint64_t check = 0;
  for (auto& future : futures) check ^= future.get();
  return {watch.lap(), check};
}

template <class Pool>
void measure_even_tasks(Pool& pool, const std::string& label, const Chain& chain, int tasks, int runs) {
  std::vector<double> times, shares;
  for (int run = -1; run < runs; ++run) {
    const EvenPass ideal = ideal_pass(chain, tasks);
    const EvenPass pass = pool_pass(pool, chain, tasks);
    require(pass.check == ideal.check, "what the bare loops compute");
    if (run < 0) continue;
    times.push_back(pass.time / tasks);
    shares.push_back(ideal.time / pass.time);
  }
  const Report report{"even_work", Pool::name};
  report.print("1000 tasks of " + label + ": time a task", "ns", times);
  report.print("1000 tasks of " + label + ": share of the ideal", "share", shares);
}

template <class Pool>
int measure_even_work(const Options& options) {
  Pool pool{2};
  const int tasks = options.count(even_tasks, even_tasks / 20);
  measure_even_tasks(pool, "1 ms", chain_of(1e6), tasks, options.count(5, 1));
  measure_even_tasks(pool, "10 µs", chain_of(1e4), tasks, options.count(51, 3));
  return 0;
}

}  // namespace bench
