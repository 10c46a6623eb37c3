// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How long whoever waits looks before it sleeps: not at all where workers that are awake take all CPUs.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <procpool/detail/task/presence.hpp>

namespace procpool::detail {

/// A look saves a wake-up. Where no CPU is free for it, it takes the time of who would work.
class SpinTime {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): a time by itself is one for as many CPUs as there may be.
  SpinTime(std::chrono::nanoseconds longest, std::size_t cpus = SIZE_MAX) noexcept
      : longest_(cpus > 1 ? longest : longest.zero()), cpus_(cpus) {}

  /// From now on those workers are counted. They and their memory outlive the last call.
  void share_cpus_with(const Presence& workers) noexcept { workers_ = workers; }

  /// Where a CPU is free for it.
  [[nodiscard]] std::chrono::nanoseconds longest() const noexcept { return longest_; }
  /// For a thread of the user's process, which needs a CPU beside the workers.
  [[nodiscard]] std::chrono::nanoseconds of_caller() const noexcept { return with_room_for(1); }
  /// For a worker, which is one of those awake.
  [[nodiscard]] std::chrono::nanoseconds of_worker() const noexcept { return with_room_for(0); }

  /// True if as many workers were seen awake as there are CPUs, and then each was seen with a task in hand.
  [[nodiscard]] bool were_all_busy() const noexcept {
    return workers_ && workers_->were_awake() >= cpus_ && !workers_->had_idle();
  }

 private:
  [[nodiscard]] std::chrono::nanoseconds with_room_for(std::size_t more) const noexcept {
    if (longest_ <= longest_.zero() || !workers_) return longest_;
    return workers_->were_awake() + more <= cpus_ ? longest_ : longest_.zero();
  }

  std::chrono::nanoseconds longest_;
  std::size_t cpus_;
  std::optional<Presence> workers_;
};

}  // namespace procpool::detail
