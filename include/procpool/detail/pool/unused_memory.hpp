// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Gives the shared memory of large blocks back to the system when nobody has used it for long.
///
/// Shared by  the supervisor alone, which asks it at each tick.
/// Crash      it dies with the user's process only.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

#include <procpool/detail/pool/pool_layout.hpp>
#include <procpool/detail/task/exchange.hpp>

namespace procpool::detail {

/// Blocks that are free are used again as they are, for fresh pages cost many times what it costs to copy what goes
/// there. What nobody has used for a whole round, but for the first `always_kept` bytes for each of arguments, arrays
/// and results, goes back, a little at a time.
class UnusedMemory {
 public:
  static constexpr std::chrono::seconds round{3};

  UnusedMemory(Exchange& exchange, PoolLayout& layout) noexcept : exchange_(exchange), layout_(layout) {}

  void tick(std::chrono::steady_clock::time_point now) {
    if (now >= next_round_) {
      next_round_ = now + round;
      begin_round();
    }
    if (is_more_) is_more_ = give_back(step) >= step;
  }

  /// True if there is more to be given back at the next tick.
  [[nodiscard]] bool is_more() const noexcept { return is_more_; }

  /// How long a supervisor may sleep that has nothing else to do; empty: until it is rung.
  [[nodiscard]] std::optional<int> milliseconds_to_next_round(std::chrono::steady_clock::time_point now) const {
    if (above_kept() == 0) return std::nullopt;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_round_ - now).count();
    return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left, 0));
  }
  [[nodiscard]] bool is_due(std::chrono::steady_clock::time_point now) const noexcept { return now >= next_round_; }

  /// Another round has passed.
  void begin_round() {
    exchange_.arguments.begin_round();
    exchange_.data.begin_round();
    exchange_.outbox.begin_round();
    if (exchange_.outbox.is_kept_by_sleepers()) layout_.wake_all();
    is_more_ = true;
  }

  /// Up to `most` bytes, or an extent more. How many.
  std::size_t give_back(std::size_t most) {
    std::size_t given = exchange_.arguments.give_back_unused(most);
    if (given < most) given += exchange_.data.give_back_unused(most - given);
    if (given < most) given += exchange_.outbox.give_back_unused(most - given);
    return given;
  }

  /// Bytes that go back in time if nobody uses them.
  [[nodiscard]] std::size_t above_kept() const {
    return exchange_.arguments.was_above_kept() + exchange_.data.was_above_kept() + exchange_.outbox.was_above_kept();
  }

 private:
  static constexpr std::size_t step = std::size_t{8} << 20;  // takes a few milliseconds, for which a deadline may wait

  Exchange& exchange_;
  PoolLayout& layout_;
  std::chrono::steady_clock::time_point next_round_{};
  bool is_more_ = false;
};

}  // namespace procpool::detail
