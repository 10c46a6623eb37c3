// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A map for pools that have none: a task for each of some blocks of equal size.

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace bench {

/// `items` mapped through `f` by `blocks` tasks of `pool`, each of which writes its part of the result in place, as
/// threads may.
template <class Pool, class F, class Items>
Items map_by_blocks(Pool& pool, F f, const Items& items, int blocks) {
  Items results(items.size());
  const std::size_t size = std::max<std::size_t>(
      1, (items.size() + static_cast<std::size_t>(blocks) - 1) / static_cast<std::size_t>(blocks));
  const auto block = [&items, &results, f](std::size_t begin, std::size_t end) {
    std::transform(items.begin() + static_cast<std::ptrdiff_t>(begin), items.begin() + static_cast<std::ptrdiff_t>(end),
                   results.begin() + static_cast<std::ptrdiff_t>(begin), f);
    return true;
  };
  std::vector<decltype(pool.submit(block, std::size_t{}, std::size_t{}))> futures;
  for (std::size_t begin = 0; begin < items.size(); begin += size) {
    futures.push_back(pool.submit(block, begin, std::min(begin + size, items.size())));
  }
  for (auto& future : futures) future.get();
  return results;
}

}  // namespace bench
