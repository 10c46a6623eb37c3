// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <chrono>
#include <cstddef>
#include <thread>

#include <procpool/detail/task/naps.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::Naps;
using procpool::detail::Presence;
using procpool::detail::ResultSignal;
using procpool::detail::SpinTime;

namespace {

constexpr std::chrono::nanoseconds moment{1};
constexpr std::chrono::nanoseconds long_time = std::chrono::hours(1);

/// One CPU and one worker, which has a task in hand.
struct BusyWorker {
  BusyWorker() {
    spin.share_cpus_with(workers);
    workers.arrive(0);
  }

  /// Whoever measures an empty wait may be interrupted.
  void wait_shortly_until_a_nap() {
    while (!naps.nap(moment)) naps.time([] {});
  }

  alignas(64) std::array<std::byte, 1024> memory{};
  Presence workers{memory.data(), 1};
  SpinTime spin{std::chrono::nanoseconds(0), 1};
  ResultSignal signal;
  Naps naps{spin, signal};
};

}  // namespace

TEST_CASE("nobody naps before some waits in a row were short, nor after a nap that was not worth it or a long wait") {
  BusyWorker pool;
  CHECK_FALSE(pool.naps.nap(long_time));
  pool.naps.time([] {});
  CHECK_FALSE(pool.naps.nap(long_time));
  pool.wait_shortly_until_a_nap();
  pool.naps.was_worth_it(true);
  CHECK(pool.naps.nap(moment));
  SECTION("a nap that was not worth it") { pool.naps.was_worth_it(false); }
  SECTION("a long wait") {
    pool.naps.time([] { std::this_thread::sleep_for(Naps::length); });  // sleeps: that is the wait
  }
  CHECK_FALSE(pool.naps.nap(long_time));
  CHECK(pool.signal.nappers == 0);
}

TEST_CASE("nobody naps while a worker is idle, or when the time to wait is over") {
  BusyWorker pool;
  pool.wait_shortly_until_a_nap();
  pool.workers.start_looking(0);
  CHECK_FALSE(pool.naps.nap(long_time));
  pool.workers.fall_asleep(0);
  CHECK_FALSE(pool.naps.nap(long_time));
  pool.workers.stop_looking(0);
  CHECK_FALSE(pool.naps.nap(moment - moment));
  CHECK(pool.naps.nap(moment));
}

TEST_CASE("a nap does not last as long as the wait may") {
  BusyWorker pool;
  pool.wait_shortly_until_a_nap();
  CHECK(pool.naps.nap(long_time));
}
