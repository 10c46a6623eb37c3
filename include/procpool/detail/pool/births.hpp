// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Which workers are to be made, and whether any can be.
///
/// Shared by  the supervisor's own; it writes wishes into the registers of lives, which the zygote grants.
/// Crash      it dies with the user's process only. A wish of which the zygote has not heard is granted at its next
///            bell.

#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <system_error>
#include <vector>

#include <procpool/detail/pool/pool_layout.hpp>
#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

class Births {
 public:
  /// From index `least` on, a worker that has left in order is replaced only when there is work for it; 0: every one is
  /// replaced at once.
  Births(PoolLayout& layout, std::size_t least)
      : layout_(layout), least_(least), buried_(layout.most_workers(), 0), is_reserve_(layout.most_workers()) {}

  /// The last life of the worker whose death was decided; 0: none.
  [[nodiscard]] Life buried(std::size_t index) const noexcept { return buried_[index]; }

  /// True if it has one that was not buried, or is wished for.
  [[nodiscard]] bool has_life(std::size_t index) const noexcept {
    // relaxed: written here alone
    return layout_.lives(index).wanted.load(std::memory_order_relaxed) != buried_[index];
  }

  /// Lives of workers that had left in order, which are wished for and not ready yet.
  [[nodiscard]] std::size_t coming_back() const noexcept {
    std::size_t count = 0;
    for (std::size_t index = 0; index < layout_.wanted(); ++index) {
      if (!is_reserve_[index] || !has_life(index)) continue;
      const Life wanted = layout_.lives(index).wanted.load(std::memory_order_relaxed);  // relaxed: as above
      // relaxed: a hint; who is late is looked at again
      if (layout_.row(index).ready.load(std::memory_order_relaxed) != wanted) ++count;
    }
    return count;
  }

  /// The row is good for another life.
  void bury(std::size_t index, Life life, bool has_left_in_order) {
    buried_[index] = life;
    is_reserve_[index] = has_left_in_order && least_ != 0 && index >= least_;
  }

  /// Wishes a life for each worker that there should be and that has none, if `is_needed(index, is_reserve)`. True
  /// if the zygote is to be rung.
  template <class IsNeeded>
  [[nodiscard]] bool want(IsNeeded is_needed);

  /// The zygote retries a fork that fails. With no worker left and none to be had there is nothing to wait for: why the
  /// pool is broken; null if it is not.
  [[nodiscard]] std::exception_ptr reason_of_refusal();

 private:
  static constexpr std::chrono::seconds longest_refusal{1};

  PoolLayout& layout_;
  std::size_t least_;
  std::vector<Life> buried_;
  std::vector<bool> is_reserve_;
  Life next_life_ = 1;
  std::optional<std::chrono::steady_clock::time_point> refused_since_;  // no worker is left, and a fork has failed
};

template <class IsNeeded>
bool Births::want(IsNeeded is_needed) {
  bool has_wish = false;
  for (std::size_t index = 0; index < layout_.wanted(); ++index) {
    if (has_life(index) || !is_needed(index, bool{is_reserve_[index]})) continue;
    // (2) release-store, pairs with (1) of zygote.hpp: the row was repaired.
    layout_.lives(index).wanted.store(next_life_++, std::memory_order_release);
    has_wish = true;
  }
  return has_wish;
}

inline std::exception_ptr Births::reason_of_refusal() {
  int error = 0;
  for (std::size_t index = 0; index < layout_.workers(); ++index) {
    const LifeRegister& lives = layout_.lives(index);
    // (3) acquire-load, pairs with (5) of zygote.hpp, (7) of zygote.hpp: the error, looked at below, is no older than
    // the birth, which has cleared it.
    const bool is_alive = lives.born.load(std::memory_order_acquire) != lives.dead.load(std::memory_order_acquire);
    if (is_alive) {
      refused_since_.reset();
      return nullptr;
    }
    // (4) acquire-load, pairs with (3) of zygote.hpp: the births and deaths before the refusal.
    if (const int last = lives.fork_error.load(std::memory_order_acquire); last != 0) error = last;
  }
  if (error == 0) return nullptr;
  // By the clock: every refusal wakes this thread, and one round of them is as many as the pool has workers.
  const auto now = std::chrono::steady_clock::now();
  if (!refused_since_) refused_since_ = now;
  if (now - *refused_since_ < longest_refusal) return nullptr;
  return std::make_exception_ptr(BrokenPool("no worker of the pool is left and the system refuses to make one: " +
                                            std::generic_category().message(error)));
}

}  // namespace procpool::detail
