// SPDX-License-Identifier: BSL-1.0

#include <errno.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <procpool/detail/memory/robust_mutex.hpp>
#include <procpool/detail/wait/event_count.hpp>

#include "../support/catch.hpp"
#include "../support/scheduler/explore.hpp"

using model::Fiber;
using model::Manner;
using model::Run;
using procpool::detail::EventCount;
using procpool::detail::LockResult;
using procpool::detail::RobustMutex;

namespace {

constexpr std::uint64_t seeds = 2'000;

struct Words {
  std::atomic<int> x{0};
  std::atomic<int> y{0};
};

/// In how many runs of two fibers `is_seen()` is true at their end.
template <class First, class Second, class IsSeen>
int count_runs(First first, Second second, IsSeen is_seen) {
  int count = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Run run(seed, {});
    const std::string failure = run([&] {
      const auto words = std::make_unique<Words>();
      Fiber& other = run.start("other", [&] { second(*words); });
      first(*words);
      run.join(other);
      count += is_seen() ? 1 : 0;
    });
    CHECK(failure.empty());
  }
  return count;
}

/// Each of two fibers stores to one word and then loads the other: how often both miss the other's store. The orders
/// are constants, for compilers take others for the strongest.
template <std::memory_order store, std::memory_order load>
int count_missed_stores() {
  int seen_x = 0;
  int seen_y = 0;
  return count_runs(
      [&](Words& words) {
        words.x.store(1, store);
        seen_y = words.y.load(load);
      },
      [&](Words& words) {
        words.y.store(1, store);
        seen_x = words.x.load(load);
      },
      [&] { return seen_x == 0 && seen_y == 0; });
}

/// One fiber stores to two words: how often the other sees the second store and not the first.
template <std::memory_order second>
int count_stores_out_of_order() {
  int seen_x = 0;
  int seen_y = 0;
  return count_runs(
      [&](Words& words) {
        words.x.store(1, std::memory_order_relaxed);
        words.y.store(1, second);
      },
      [&](Words& words) {
        seen_y = words.y.load(std::memory_order_acquire);
        seen_x = words.x.load(std::memory_order_relaxed);
      },
      [&] { return seen_y == 1 && seen_x == 0; });
}

}  // namespace

TEST_CASE("a seed gives the same interleaving each time, and another seed gives another one") {
  std::vector<std::uint64_t> trails;
  for (const std::uint64_t seed : {1, 2, 3, 1, 2, 3}) {
    Run run(seed, {.most_deaths = 1});
    const std::string failure = run([&] {
      std::atomic<int> count{0};
      const auto add = [&] {
        for (int i = 0; i < 20; ++i) count.fetch_add(1, std::memory_order_relaxed);
      };
      Fiber& first = run.start("first", add, true);
      Fiber& second = run.start("second", add, true);
      run.join(first);
      run.join(second);
    });
    CHECK(failure.empty());
    trails.push_back(run.trail());
  }
  CHECK(trails[0] == trails[3]);
  CHECK(trails[1] == trails[4]);
  CHECK(trails[2] == trails[5]);
  CHECK(trails[0] != trails[1]);
  CHECK(trails[1] != trails[2]);
}

TEST_CASE("a store may be seen late, unless it and the load after it are seq_cst") {
  CHECK(count_missed_stores<std::memory_order_seq_cst, std::memory_order_seq_cst>() == 0);
  CHECK(count_missed_stores<std::memory_order_release, std::memory_order_seq_cst>() > 0);
  CHECK(count_missed_stores<std::memory_order_seq_cst, std::memory_order_acquire>() > 0);
}

TEST_CASE("relaxed stores may be seen in another order, and a release store is seen after those before it") {
  CHECK(count_stores_out_of_order<std::memory_order_relaxed>() > 0);
  CHECK(count_stores_out_of_order<std::memory_order_release>() == 0);
}

TEST_CASE("a sleep that nobody ends is reported, and one with a timeout ends by itself") {
  Run for_ever(1, {});
  CHECK(for_ever([] { EventCount().wait(0); }) == "a wake-up is missing: asleep for ever are user");
  Run for_a_second(1, {});
  CHECK(for_a_second([] { EventCount().wait(0, std::chrono::seconds(1)); }).empty());
  Run without_timeouts(1, {.sleeps_end = false});
  CHECK_FALSE(without_timeouts([] { EventCount().wait(0, std::chrono::seconds(1)); }).empty());
}

TEST_CASE("a mutex of a fiber that was killed goes to the next, who is told") {
  Run run(1, {});
  const std::string failure = run([&] {
    RobustMutex mutex;
    EventCount never_rung;
    Fiber& owner = run.start("owner", [&] {
      static_cast<void>(mutex.lock_reporting());
      never_rung.wait(0);
    });
    while (mutex.try_lock_reporting() != LockResult::busy) {
      mutex.unlock();
      run.yield();
    }
    run.kill(owner);
    model::demand(mutex.lock_reporting() == LockResult::acquired_from_dead_owner, "nobody told of the death");
    mutex.unlock();
    model::demand(mutex.lock_reporting() == LockResult::acquired, "it was told twice");
  });
  CHECK(failure.empty());
}
