// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Workers that somebody has stopped (SIGSTOP), and that a pool which ends would wait for.
///
/// Shared by  the supervisor's own; it writes wishes into the registers of lives, which the zygote grants.
/// Crash      it dies with the user's process only.

#include <chrono>
#include <cstddef>

#include <procpool/detail/os/process_state.hpp>
#include <procpool/detail/pool/pool_layout.hpp>

namespace procpool::detail {

class StoppedWorkers {
 public:
  /// The supervisor, at each tick once all tasks have ended and the workers were told to leave. Those that are stopped
  /// a second later, and perhaps for ever, are condemned; the next bell tells the zygote. True each time that second is
  /// over.
  bool end(PoolLayout& layout) noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  static constexpr int patience = 40;  // ticks; a clock would also count while this process itself is stopped
  static constexpr std::chrono::milliseconds shortest_tick{25};  // News of the zygote's bring others.

  Clock::time_point last_tick_;
  int ticks_ = 0;
};

inline bool StoppedWorkers::end(PoolLayout& layout) noexcept {
  const Clock::time_point now = Clock::now();
  if (now - last_tick_ < shortest_tick) return false;
  last_tick_ = now;
  if (++ticks_ < patience) return false;
  for (std::size_t index = 0; index < layout.workers(); ++index) {
    LifeRegister& lives = layout.lives(index);
    // (1) acquire-load, pairs with (5) of zygote.hpp: the pid belongs to this life.
    const Life life = lives.born.load(std::memory_order_acquire);
    // relaxed: only compared
    if (life == lives.dead.load(std::memory_order_relaxed)) continue;
    // relaxed: published with `born`; were it another's by now, the zygote would know that this life is over
    if (!is_stopped_by_signal(lives.pid.load(std::memory_order_relaxed))) continue;
    lives.condemned.store(life, std::memory_order_relaxed);  // relaxed: the bell orders it, and is repeated
  }
  ticks_ = 0;
  return true;
}

}  // namespace procpool::detail
