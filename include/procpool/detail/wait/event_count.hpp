// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// One futex word on which sleepers wait for "something has changed".
///
/// Shared by  everyone who maps it; ringing is an increment, so it may be done by anyone, any number of times.
/// Progress   ring is wait-free; a sleeper ends at the next ring after it took its key.
/// Crash      a death before the ring leaves sleepers asleep: every wait of the user's process is bounded by a tick,
///            and the supervisor rings for the workers. A death of a sleeper leaves nothing behind.

#include <atomic>
#include <chrono>
#include <cstdint>

#include <procpool/detail/os/futex.hpp>

namespace procpool::detail {

class alignas(64) EventCount {
 public:
  using Key = std::uint32_t;

  /// Taken before the sleeper looks a last time at what it waits for.
  [[nodiscard]] Key key() const noexcept {
    // (1) seq_cst-load, pairs with (2): a change made before a later ring is seen by the look that follows the key.
    return word_.load(std::memory_order_seq_cst);
  }

  /// Sleeps until a ring after `key` was taken, a signal, or the end of `timeout`.
  void wait(Key key, std::chrono::nanoseconds timeout = no_timeout) const noexcept { futex_wait(&word_, key, timeout); }

  void ring_all() noexcept { ring(INT_MAX); }
  void ring_one() noexcept { ring(1); }

 private:
  void ring(int count) noexcept {
    // (2) seq_cst-rmw, pairs with (1): whoever took its key before it does not sleep on it.
    word_.fetch_add(1, std::memory_order_seq_cst);
    futex_wake(&word_, count);
  }

  std::atomic<std::uint32_t> word_{0};  // incremented by anyone, read by sleepers
};

static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "a lock would not be address-free");

}  // namespace procpool::detail
