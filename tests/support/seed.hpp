// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The seed of a test that does something at random: another one each time, told, and given again to repeat it.

#include <cstdio>
#include <cstdlib>
#include <random>

namespace support {

/// PROCPOOL_TEST_SEED, or a new one. It is printed at once, so that a test that hangs or dies has told it too.
[[nodiscard]] inline unsigned new_seed() {
  const char* const given = std::getenv("PROCPOOL_TEST_SEED");
  const unsigned seed =
      given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
  std::fprintf(stderr, "PROCPOOL_TEST_SEED=%u\n", seed);
  return seed;
}

}  // namespace support
