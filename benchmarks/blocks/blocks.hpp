// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Blocks: what does an element cost if a pool works in place on 10⁷ integers that all its workers have, and does next
/// to nothing with each? The memory is that which a user of the rival would take, and was touched by everyone before.

#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include "../support/measure.hpp"

namespace bench {

/// The work: one function, so that all rivals run the same loop.
inline void add_to_each(std::span<int> block) {
  for (int& element : block) element += 1;
}

template <class Pool>
int measure_blocks(const Options& options) {
  const auto count = static_cast<std::size_t>(options.count(10'000'000, 200'000));
  Pool pool{2};
  auto array = pool.make_array(count);
  const std::span<int> elements(array.data(), array.size());
  std::iota(elements.begin(), elements.end(), 0);
  std::vector<double> times;
  int passes = 0;
  for (; passes < options.count(41, 4); ++passes) {
    Stopwatch watch;
    pool.for_blocks(add_to_each, array);
    const double time = watch.lap();
    if (passes >= options.count(3, 1)) times.push_back(time / static_cast<double>(count));
  }
  for (std::size_t i = 0; i < count; ++i) require(elements[i] == static_cast<int>(i) + passes, "x + 1 in each pass");
  Report{"blocks", Pool::name}.print("an element", "ns", times);
  return 0;
}

}  // namespace bench
