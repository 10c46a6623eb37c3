// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Tiny items: what does an item of a map over 10⁷ integers cost if the function does next to nothing? From a vector to
/// a new one, whose memory each rival asks for and fills.

#include <cstddef>
#include <numeric>
#include <vector>

#include "../support/measure.hpp"

namespace bench {

template <class Pool>
int measure_tiny_items(const Options& options) {
  const auto increment = [](int x) { return x + 1; };
  const int count = options.count(10'000'000, 200'000);
  std::vector<int> items(static_cast<std::size_t>(count));
  std::iota(items.begin(), items.end(), 0);
  Pool pool{2};
  std::vector<double> times;
  for (int run = -1; run < options.count(9, 3); ++run) {
    Stopwatch watch;
    const std::vector<int> results = pool.map(increment, items);
    const double time = watch.lap();
    long sum = 0;
    for (const int result : results) sum += result;
    require(sum == static_cast<long>(count) * (count + 1L) / 2, "x + 1 for each x");
    if (run >= 0) times.push_back(time / count);
  }
  Report{"tiny_items", Pool::name}.print("an item", "ns", times);
  return 0;
}

}  // namespace bench
