// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Kills workers of a pool from outside, at random times.

#include <signal.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <random>
#include <thread>
#include <type_traits>
#include <vector>

#include <procpool/pool/process_pool.hpp>

#include "deaths.hpp"
#include "patience.hpp"

namespace support {

/// Kills one worker after another, each by SIGKILL, in a thread of its own. Where new workers are long in coming, as
/// under a sanitizer, it lets them end a task between two kills, or nothing would ever be done.
class Killer {
 public:
  /// As long as `goes_on(kills)` says so, which is asked before each kill. `pool` must still take tasks.
  template <class GoesOn>
    requires std::is_invocable_r_v<bool, GoesOn, int>
  Killer(const procpool::ProcessPool<>& pool, GoesOn goes_on, unsigned seed)
      : zygote_(zygote_of(pool)), thread_([this, &pool, goes_on, seed] {
          std::mt19937 random(seed);
          for (int kills = 0; goes_on(kills); ++kills) {
            const auto workers = pool.workers();
            signal_child_of(zygote_, workers[random() % workers.size()].pid, SIGKILL);
            // sleeps: so that the next death comes at another moment. On a busy machine a yield could last far longer.
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 1000));
            const auto is_due = [&] {
              return pool.sender().core->is_closed() || tasks_done(pool.workers()) != tasks_done(workers);
            };
            static_cast<void>(eventually(is_due, patience));
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

 private:
  static constexpr std::chrono::milliseconds patience{50};  // Perhaps there are no tasks.

  static std::uint64_t tasks_done(const std::vector<procpool::WorkerInfo>& workers) {
    return std::accumulate(workers.begin(), workers.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const procpool::WorkerInfo& each) { return sum + each.tasks_done; });
  }

  ::pid_t zygote_;
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

}  // namespace support
