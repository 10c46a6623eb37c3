// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How long a test may take, and the bounded wait for a condition; no test is decided by a sleep.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>

namespace support {

/// Asks `condition()` until it is met, at first after a millisecond, then less often. False if it was not met within
/// `limit`.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition, std::chrono::nanoseconds limit = std::chrono::seconds(2)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (::useconds_t pause = 1000; !condition(); pause = std::min<::useconds_t>(2 * pause, 20'000)) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::usleep(pause);  // sleeps: between two looks
  }
  return true;
}

/// Whether scripts/test runs its long form: more rounds, more seeds, larger inputs.
[[nodiscard]] inline bool is_full_run() {
  const char* const full = std::getenv("PROCPOOL_TEST_FULL");
  return full != nullptr && std::string_view(full) == "1";
}

/// A test case that takes longer hangs.
[[nodiscard]] inline std::chrono::seconds longest_case() {
  if (const char* const given = std::getenv("PROCPOOL_TEST_CASE_SECONDS"))
    return std::chrono::seconds(std::atoi(given));
  return is_full_run() ? std::chrono::hours(1) : std::chrono::minutes(2);
}

}  // namespace support
