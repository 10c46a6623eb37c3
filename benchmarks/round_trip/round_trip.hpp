// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Round trip: how long from submit to the result, with one worker and one task at a time?

#include <chrono>
#include <thread>
#include <vector>

#include "../support/measure.hpp"
#include "../support/work.hpp"

namespace bench {

/// Long enough for every pool here to have stopped spinning and gone to sleep.
inline constexpr std::chrono::milliseconds until_asleep{20};

/// Round trips one after the other for 10 ms; the mean of them in nanoseconds.
template <class RoundTrip>
double hot_time(RoundTrip round_trip) {
  constexpr double long_enough = 10e6;
  Stopwatch watch;
  double passed = 0;
  int trips = 0;
  for (int batch = 1; passed < long_enough; batch *= 2) {
    for (int i = 0; i < batch; ++i) round_trip();
    trips += batch;
    passed += watch.lap();
  }
  return passed / trips;
}

/// One round trip after everybody fell asleep, in nanoseconds.
template <class RoundTrip>
double asleep_time(RoundTrip round_trip) {
  std::this_thread::sleep_for(until_asleep);
  Stopwatch watch;
  round_trip();
  return watch.lap();
}

template <class RoundTrip>
std::vector<double> hot_times(const Options& options, RoundTrip round_trip) {
  hot_time(round_trip);
  std::vector<double> times;
  for (int run = 0; run < options.count(21, 3); ++run) times.push_back(hot_time(round_trip));
  return times;
}

/// A task there and its result back.
template <class Pool>
auto task_round_trip(Pool& pool) {
  return [&pool, x = 0]() mutable {
    const int result = pool.submit(increment, x).get();
    require(result == x + 1, "x + 1");
    x = result & 0xffff;
  };
}

template <class Pool>
int measure_round_trip(const Options& options) {
  const Report report{"round_trip", Pool::name};
  Pool pool{1};
  report.print("hot", "ns", hot_times(options, task_round_trip(pool)));
  std::vector<double> asleep;
  for (int run = 0; run < options.count(51, 5); ++run) asleep.push_back(asleep_time(task_round_trip(pool)));
  report.print("asleep", "ns", asleep);
  return 0;
}

}  // namespace bench
