// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the tasks do.

#include <cstdint>

namespace bench {

/// The smallest task worth the name: x → x + 1.
inline int increment(int x) { return x + 1; }

/// A chain of dependent steps, about 2 ns each at 3 GHz, which no compiler shortens. It is work, not waiting for a
/// clock: of four workers on two cores each gets half.
struct Chain {
  std::uint32_t steps;

  std::uint64_t operator()(std::uint64_t seed) const {
    std::uint64_t x = seed | 1;
    for (std::uint32_t i = 0; i < steps; ++i) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
    }
    return x;
  }
};

/// The loop that books on Python's multiprocessing open with: counts `from` down to 0, one step at a time.
inline long count_down(long from) {
  while (from > 0) {
    --from;
    asm volatile("" : "+r"(from));  // Otherwise the compiler knows the end without walking there.
  }
  return from;
}

}  // namespace bench
