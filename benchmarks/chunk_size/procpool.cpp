// SPDX-License-Identifier: BSL-1.0

/// @file
/// Chunk size: how does a map that finds the size of its chunks compare with the best one that is tried by hand? With
/// very many items of next to nothing, and with few long ones of which the longest come last.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/measure.hpp"
#include "../support/work.hpp"

namespace {

using namespace bench;

/// Runs `map(chunk_size)` with 0, which lets it find the sizes, and with each of `sizes`, all in turns; prints how long
/// it takes with 0, and over the one that is best.
template <class Map>
void compare(const std::string& label, const std::vector<std::size_t>& sizes, int warm_up, int runs, const Map& map) {
  std::vector<double> found;
  std::vector<std::vector<double>> given(sizes.size());
  for (int run = -warm_up; run < runs; ++run) {
    const auto time_with = [&map](std::size_t size) {
      const Stopwatch watch;
      return map(size, watch);
    };
    const double time = time_with(0);
    if (run >= 0) found.push_back(time);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const double time_by_hand = time_with(sizes[i]);
      if (run >= 0) given[i].push_back(time_by_hand);
    }
  }
  const std::vector<double>& best = *std::ranges::min_element(given, std::less<>{}, median);
  std::vector<double> ratios;
  for (std::size_t run = 0; run < found.size(); ++run) ratios.push_back(found[run] / best[run]);
  const Report report{"chunk_size", "procpool"};
  report.print(label + ": time", "ns", found);
  report.print(label + ": over the best by hand", "ratio", ratios);
}

void measure_tiny(procpool::ProcessPool<>& pool, const Options& options) {
  const int count = options.count(10'000'000, 200'000);
  std::vector<int> items(static_cast<std::size_t>(count));
  std::iota(items.begin(), items.end(), 0);
  compare("10⁷ items of next to nothing", {10'000, 40'000, 160'000, 640'000}, 1, options.count(31, 2),
          [&](std::size_t size, Stopwatch watch) {
            const std::vector<int> results = pool.with({.chunk_size = size}).map(increment, items);
            const double time = watch.lap();
            require(results.front() == 1 && results.back() == count, "x + 1 for each x");
            return time;
          });
}

/// Nothing is warmed up: a pass takes seconds.
void measure_uneven(procpool::ProcessPool<>& pool, const Options& options) {
  const auto steps_of_a_millisecond = static_cast<std::uint32_t>(options.count(500'000, 5'000));
  std::vector<std::uint32_t> items(100);
  std::iota(items.begin(), items.end(), 1U);
  const auto work = [steps_of_a_millisecond](std::uint32_t ms) { return Chain{ms * steps_of_a_millisecond}(ms); };
  compare("100 items of 1 to 100 ms, the longest last", {1, 2, 4}, 0, 1, [&](std::size_t size, Stopwatch watch) {
    const std::vector<std::uint64_t> results = pool.with({.chunk_size = size}).map(work, items);
    const double time = watch.lap();
    require(results.size() == items.size() && results.back() != 0, "the end of each chain");
    return time;
  });
}

}  // namespace

int main(int argc, char** argv) {
  const Options given = options(argc, argv);
  procpool::ProcessPool pool{2};
  measure_tiny(pool, given);
  measure_uneven(pool, given);
  return 0;
}
