// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Until when a wait may last, whatever clock and unit the user gave.

#include <algorithm>
#include <chrono>
#include <optional>

namespace procpool::detail {

/// Empty: for ever.
using Deadline = std::optional<std::chrono::steady_clock::time_point>;

/// No wake-up owed by another process is the only one: every sleep of the user's process ends after this time, and the
/// sleeper looks again.
inline constexpr std::chrono::milliseconds longest_sleep{50};

/// How long to sleep now: until the deadline, but not too long. Below zero: the deadline has passed.
[[nodiscard]] inline std::chrono::nanoseconds next_sleep(const Deadline& deadline) noexcept {
  if (!deadline) return longest_sleep;
  return std::min<std::chrono::nanoseconds>(longest_sleep, *deadline - std::chrono::steady_clock::now());
}

/// A wait of a century is one for ever: no clock here can count much further.
inline constexpr std::chrono::duration<double> for_ever = std::chrono::hours(24 * 365 * 100);

/// The deadline at the end of `time` from now on. What is not above zero has passed, without a look at the clock.
template <class Rep, class Period>
[[nodiscard]] Deadline deadline_in(const std::chrono::duration<Rep, Period>& time) {
  using Clock = std::chrono::steady_clock;
  if (!(time > time.zero())) return Clock::time_point{};
  if (std::chrono::duration<double>(time) >= for_ever) return std::nullopt;
  return Clock::now() + std::chrono::ceil<Clock::duration>(time);
}

/// The deadline at a time of any clock: the time that is left until then is measured now.
template <class Clock, class Duration>
[[nodiscard]] Deadline deadline_at(const std::chrono::time_point<Clock, Duration>& time) {
  using Seconds = std::chrono::duration<double>;
  const auto now = Clock::now();
  const Seconds about = Seconds(time.time_since_epoch()) - Seconds(now.time_since_epoch());
  if (about >= for_ever || about <= -for_ever) return deadline_in(about);  // An exact difference might overflow.
  return deadline_in(time - now);
}

}  // namespace procpool::detail
