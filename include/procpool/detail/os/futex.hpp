// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The two futex calls that waiting is made of, on words shared between processes (futex(2)).
///
/// Crash  the kernel drops a dead waiter from its queue by itself; nothing in memory names it.

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <cstdint>
#include <ctime>

namespace procpool::detail {

inline constexpr std::chrono::nanoseconds no_timeout{-1};

/// Sleeps while `*word == expected`, at most `timeout`. Returns on a wake, a changed word, a signal or the timeout:
/// the caller looks again at what it waits for.
inline void futex_wait(const void* word, std::uint32_t expected, std::chrono::nanoseconds timeout) noexcept {
  timespec left{};
  if (timeout >= std::chrono::nanoseconds::zero()) {
    left.tv_sec = static_cast<std::time_t>(timeout.count() / 1'000'000'000);
    left.tv_nsec = static_cast<long>(timeout.count() % 1'000'000'000);
  }
  ::syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout < std::chrono::nanoseconds::zero() ? nullptr : &left,
            nullptr, 0);
}

/// Wakes at most `count` of those who sleep on `word`.
inline void futex_wake(const void* word, int count = INT_MAX) noexcept {
  ::syscall(SYS_futex, word, FUTEX_WAKE, count, nullptr, nullptr, 0);
}

}  // namespace procpool::detail
