// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Numbers that follow from a seed (splitmix64).

#include <cstdint>

namespace model {

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t end) noexcept { return next() % end; }
  /// True once in `times`; never if that is 0.
  bool once_in(std::uint64_t times) noexcept { return times != 0 && below(times) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace model
