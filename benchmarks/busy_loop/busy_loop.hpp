// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Busy loop: two loops of 10⁷ decrements, one after the other, on two threads, on two processes. In Python threads do
/// not help, which is why its books turn to processes here; in C++ both do.

#include <string_view>
#include <vector>

#include "../support/measure.hpp"
#include "../support/work.hpp"

namespace bench {

inline constexpr long decrements = 10'000'000;

/// `both` runs the two loops and returns the sum of what they return.
template <class Both>
int measure_busy_loop(std::string_view rival, const Options& options, Both both) {
  std::vector<double> times;
  for (int run = -1; run < options.count(15, 3); ++run) {
    Stopwatch watch;
    require(both() == 0, "a loop that ends at 0");
    const double time = watch.lap();
    if (run >= 0) times.push_back(time);
  }
  Report{"busy_loop", rival}.print("two loops", "ns", times);
  return 0;
}

}  // namespace bench
