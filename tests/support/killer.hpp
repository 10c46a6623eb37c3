// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Kills workers of a pool from outside, at random times.

#include <signal.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <type_traits>

#include <procpool/pool/process_pool.hpp>

#include "deaths.hpp"

namespace support {

/// Kills one worker after another, each by SIGKILL, in a thread of its own.
class Killer {
 public:
  /// As long as `goes_on(kills)` says so, which is asked before each kill. `pool` must still take tasks.
  template <class GoesOn>
    requires std::is_invocable_r_v<bool, GoesOn, int>
  Killer(const procpool::ProcessPool<>& pool, GoesOn goes_on, unsigned seed)
      : zygote_(zygote_of(pool)), thread_([this, &pool, goes_on, seed] {
          std::mt19937 random(seed);
          while (goes_on(kills_.load())) {
            const auto workers = pool.workers();
            signal_child_of(zygote_, workers[random() % workers.size()].pid, SIGKILL);
            ++kills_;
            // sleeps: so that the next death comes at another moment. On a busy machine a yield could last far longer.
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 1000));
          }
          is_over_ = true;
        }) {}
  Killer(const procpool::ProcessPool<>& pool, int kills, unsigned seed)
      : Killer(
            pool, [kills](int done) { return done < kills; }, seed) {}
  Killer(const Killer&) = delete;
  Killer& operator=(const Killer&) = delete;
  ~Killer() { thread_.join(); }

  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  /// How many it has tried; a worker may have died before its signal came.
  [[nodiscard]] int kills() const noexcept { return kills_; }

 private:
  ::pid_t zygote_;
  std::atomic<int> kills_{0};
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

}  // namespace support
