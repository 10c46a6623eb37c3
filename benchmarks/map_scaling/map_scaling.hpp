// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Map scaling: what does an item of a map cost, by its own length and the number of workers?

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "../support/measure.hpp"
#include "../support/work.hpp"

namespace bench {

/// How long an item is, and how many of them make about a twentieth of a second.
struct ItemSize {
  const char* label;
  std::uint32_t steps;
  int items;
};

inline constexpr std::array<ItemSize, 6> item_sizes{{{"0.1 µs", 50, 500'000},
                                                     {"1 µs", 500, 50'000},
                                                     {"10 µs", 5'000, 5'000},
                                                     {"100 µs", 50'000, 500},
                                                     {"1 ms", 500'000, 52},
                                                     {"10 ms", 5'000'000, 12}}};

/// Times `runs` maps, in nanoseconds an item, after one that warms the pool up.
template <class Pool>
std::vector<double> map_times(Pool& pool, const ItemSize& size, int count, int runs) {
  std::vector<std::uint64_t> items(static_cast<std::size_t>(count));
  std::iota(items.begin(), items.end(), 0U);
  const Chain chain{size.steps};
  std::vector<double> times;
  for (int run = -1; run < runs; ++run) {
    Stopwatch watch;
    const std::vector<std::uint64_t> results = pool.map(chain, items);
    const double time = watch.lap();
    require(results.size() == items.size() && results.back() == chain(items.back()), "the last item of a map");
    if (run >= 0) times.push_back(time / count);
  }
  return times;
}

template <class Pool>
int measure_map_scaling(const Options& options) {
  const Report report{"map_scaling", Pool::name};
  for (const int workers : {1, 2, 4}) {
    Pool pool{workers};
    for (const ItemSize& size : item_sizes) {
      const int count = options.quick ? std::max(4, size.items / 50) : size.items;
      const std::string label = std::to_string(workers) + (workers == 1 ? " worker: " : " workers: ") + size.label;
      report.print(label, "ns", map_times(pool, size, count, options.count(3, 1)));
    }
  }
  return 0;
}

}  // namespace bench
