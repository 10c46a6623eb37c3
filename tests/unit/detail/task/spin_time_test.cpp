// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <chrono>
#include <cstddef>

#include <procpool/detail/task/presence.hpp>
#include <procpool/detail/task/spin_time.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::Presence;
using procpool::detail::SpinTime;
using procpool::detail::WorkerIndex;

namespace {

constexpr std::chrono::nanoseconds some_time{30};
constexpr std::chrono::nanoseconds none{0};

/// Workers of a pool on two CPUs, none of which has arrived.
struct TwoCpus {
  TwoCpus() { spin.share_cpus_with(workers); }

  alignas(64) std::array<std::byte, 1024> memory{};
  Presence workers{memory.data(), 40};
  SpinTime spin{some_time, 2};
};

}  // namespace

TEST_CASE("nobody spins where there is one CPU, and everybody may where no workers are known") {
  CHECK(SpinTime(some_time, 1).of_caller() == none);
  CHECK(SpinTime(some_time, 1).of_worker() == none);
  CHECK(SpinTime(some_time, 2).of_caller() == some_time);
  CHECK(SpinTime(some_time).of_worker() == some_time);
  CHECK_FALSE(SpinTime(some_time, 1).were_all_busy());
}

TEST_CASE("a caller spins while the workers that are awake leave it a CPU, and a worker while each of them has one") {
  TwoCpus pool;
  pool.workers.arrive(0);
  CHECK(pool.spin.of_caller() == some_time);
  pool.workers.arrive(33);
  CHECK(pool.spin.of_caller() == none);
  CHECK(pool.spin.of_worker() == some_time);
  pool.workers.arrive(39);
  CHECK(pool.spin.of_worker() == none);
  pool.workers.fall_asleep(0);
  CHECK(pool.spin.of_worker() == some_time);
  CHECK(pool.spin.of_caller() == none);
  pool.workers.leave(39);
  CHECK(pool.spin.of_caller() == some_time);
  pool.workers.start_looking(0);
  CHECK(pool.spin.of_caller() == none);
}

TEST_CASE("workers are all busy when they have all CPUs and none of them looks for work or sleeps") {
  TwoCpus pool;
  pool.workers.arrive(0);
  CHECK_FALSE(pool.spin.were_all_busy());
  pool.workers.arrive(33);
  CHECK(pool.spin.were_all_busy());
  pool.workers.arrive(39);
  for (const WorkerIndex idle : {0U, 33U, 39U}) {
    pool.workers.start_looking(idle);
    CHECK_FALSE(pool.spin.were_all_busy());
    pool.workers.fall_asleep(idle);
    CHECK_FALSE(pool.spin.were_all_busy());
    pool.workers.stop_looking(idle);
    CHECK(pool.spin.were_all_busy());
  }
  pool.workers.fall_asleep(0);
  pool.workers.leave(0);
  CHECK(pool.spin.were_all_busy());
}
