// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// No pool at all, as the questions see a pool: the caller runs each task at once.

#include <algorithm>
#include <cstddef>
#include <future>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

class SerialPool {
 public:
  static constexpr std::string_view name = "serial";

  explicit SerialPool(int /*workers*/) {}

  /// What a future costs when nobody has to be told of it.
  template <class F, class... Args>
  auto submit(F f, Args... args) {
    std::packaged_task<decltype(f(args...))()> task{[f, args...] { return f(args...); }};
    auto future = task.get_future();
    task();
    return future;
  }

  template <class F, class Items>
  Items map(F f, const Items& items) {
    Items results(items.size());
    std::transform(items.begin(), items.end(), results.begin(), f);
    return results;
  }

  [[nodiscard]] static std::vector<int> make_array(std::size_t size) { return std::vector<int>(size); }
  template <class F>
  void for_blocks(F f, std::vector<int>& array) {
    f(std::span<int>(array));
  }
};

}  // namespace bench
