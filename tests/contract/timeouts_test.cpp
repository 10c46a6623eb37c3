// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using procpool::Future;
using procpool::Outcome;
using procpool::ProcessPool;
using procpool::QueueTimeout;
using procpool::TaskTimeout;
using procpool::UsageError;
using procpool::WorkerDied;
using support::eventually;
using support::OpensAtEnd;
using support::pid_of_worker;
using support::Shared;
using support::SharedCount;
using support::SharedGate;

namespace {

/// What no signal but SIGKILL ends.
[[noreturn]] void hang() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  for (;;) ::pause();
}
int hang_on_multiples_of_five(int i) {
  if (i % 5 == 0) hang();
  return i;
}
/// Goes on until it is asked to stop; a task that waits in vain ends its worker, so that no test hangs for ever.
void run_until_asked_to_stop() {
  if (!eventually([] { return procpool::this_task::stop_requested(); }, 20s)) ::abort();
}

}  // namespace

TEST_CASE("a task that runs too long fails with TaskTimeout, and its worker is replaced, whatever signals it blocks") {
  ProcessPool pool{1};
  const ::pid_t before = pool.submit(pid_of_worker).get();
  Future<void> slow = pool.with({.timeout = 20ms, .grace = 1ms, .label = "slow"}).submit([] { hang(); });
  CHECK_THROWS_WITH(slow.get(), Contains("\"slow\"") && Contains("20 ms"));
  CHECK(pool.submit(pid_of_worker).get() != before);
  CHECK(pool.stats().worker_deaths == 1);
  CHECK(pool.stats().failed == 1);
  CHECK(pool.stats().dropped_failures == 0);
}

TEST_CASE("at the deadline the future fails at once, though the task may go on for as long as its grace") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  const ::pid_t before = pool.submit(pid_of_worker).get();
  Future<int> slow = pool.with({.timeout = 10ms, .grace = 1h}).submit([gate = gate.get()] {
    gate->pass();
    return 1;
  });
  REQUIRE(gate->is_reached_by(1));
  CHECK_THROWS_AS(slow.get(), TaskTimeout);
  CHECK(gate->arrived() == 1);
  gate->open();
  CHECK(pool.submit(pid_of_worker).get() == before);
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("a task is asked to stop at its deadline, and lives if it does") {
  SharedCount stopped;
  ProcessPool pool{1};
  const ::pid_t before = pool.submit(pid_of_worker).get();
  Future<std::string> slow = pool.with({.timeout = 10ms, .grace = 1h}).submit([stopped = stopped.get()] {
    run_until_asked_to_stop();
    ++*stopped;
    return std::string(100'000, 'x');  // nobody reads it, but it takes a block of the pool's memory
  });
  CHECK_THROWS_AS(slow.get(), TaskTimeout);
  CHECK(pool.submit(pid_of_worker).get() == before);
  CHECK(*stopped == 1);
  pool.wait_idle();
  CHECK(pool.stats().failed == 1);
}

TEST_CASE(
    "a task that was to be tried again after its timeout, and is cancelled in its grace, fails with TaskTimeout") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  Future<void> slow = pool.with({.timeout = 1ms, .grace = 1h, .retries_on_timeout = 1}).submit([gate = gate.get()] {
    run_until_asked_to_stop();
    gate->pass();
  });
  REQUIRE(gate->is_reached_by(1));
  CHECK_FALSE(slow.cancel());
  CHECK_THROWS_AS(slow.get(), TaskTimeout);
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("what a task that is late returned gives its memory back, whether the future is there or not") {
  ProcessPool pool{{.workers = 1, .shared_memory = std::size_t{64} << 20}};
  const auto late = pool.with({.timeout = 1ms, .grace = 1h});
  for (int i = 0; i < 20; ++i) {
    Future<std::string> slow = late.submit([] {
      run_until_asked_to_stop();
      return std::string(std::size_t{8} << 20, 'x');
    });
    if (i % 2 == 0) CHECK_THROWS_AS(slow.get(), TaskTimeout);
  }
  pool.wait_idle();
  CHECK(pool.stats().worker_deaths == 0);
  CHECK(pool.stats().failed == 20);
  CHECK(pool.stats().dropped_failures == 10);
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("the deadline counts from the start of the task, not from its sending") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  Future<void> first = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  Future<int> second = pool.with({.timeout = 5s}).submit([] { return 2; });
  Future<int> third = pool.with({.timeout = 1ms}).submit([] { return 3; });
  CHECK_FALSE(second.wait_for(30ms));
  CHECK_FALSE(third.is_ready());
  gate->open();
  CHECK(second.get() == 2);
  static_cast<void>(third.exception());  // It was not late before it began; on a busy machine it may be late after.
}

TEST_CASE("a task in time is not touched by its deadline") {
  SharedGate gate;
  ProcessPool pool{2};
  const OpensAtEnd opens{gate};
  const auto timed = pool.with({.timeout = 1h, .queue_timeout = 1h});
  Future<bool> watched = timed.submit([gate = gate.get()] {
    gate->pass();
    return procpool::this_task::stop_requested();
  });
  REQUIRE(gate->is_reached_by(1));
  const auto was_looked_at = [&] {
    const auto workers = pool.workers();
    return std::any_of(workers.begin(), workers.end(), [](const auto& each) { return each.running_for > 0ns; });
  };
  REQUIRE(eventually(was_looked_at, 20s));
  std::vector<Future<int>> futures;
  for (int i = 0; i < 1000; ++i) futures.push_back(timed.submit([](int n) { return n; }, i));
  for (int i = 0; i < 1000; ++i) CHECK(futures[static_cast<std::size_t>(i)].get() == i);
  gate->open();
  CHECK_FALSE(watched.get());
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("a timeout is that of each item of a map: the others keep their values") {
  ProcessPool pool{2};
  std::vector<int> items(20);
  std::iota(items.begin(), items.end(), 0);
  const auto timed = pool.with({.timeout = 50ms, .grace = 0ms, .chunk_size = 10});
  const auto check = [](const auto& outcomes) {
    std::size_t late = 0;
    for (const Outcome<int>& outcome : outcomes) {
      if (outcome.position() % 5 != 0) {
        CHECK(*outcome == static_cast<int>(outcome.position()));
        continue;
      }
      ++late;
      CHECK_THROWS_AS(outcome.value(), TaskTimeout);
      CHECK_THROWS_WITH(outcome.value(), Contains("item " + std::to_string(outcome.position()) + " of a map"));
    }
    CHECK(late == 4);
  };
  SECTION("map_outcomes") { check(timed.map_outcomes(hang_on_multiples_of_five, items)); }
  SECTION("imap_unordered_outcomes") {
    std::vector<Outcome<int>> outcomes;
    for (auto&& outcome : timed.imap_unordered_outcomes(hang_on_multiples_of_five, items)) {
      outcomes.push_back(std::move(outcome));
    }
    check(outcomes);
  }
  SECTION("map throws the first") {
    CHECK_THROWS_WITH(timed.map(hang_on_multiples_of_five, items), Contains("item 0 of a map"));
  }
  SECTION("map_async") {
    Future<std::vector<int>> later = timed.map_async(hang_on_multiples_of_five, items);
    CHECK_THROWS_AS(later.get(), TaskTimeout);
  }
  SECTION("map_reduce") {
    CHECK_THROWS_AS(timed.map_reduce(hang_on_multiples_of_five, std::plus<>{}, 0, items), TaskTimeout);
  }
  CHECK(pool.map([](int i) { return i; }, items) == items);
}

TEST_CASE("run_on_each_worker has deadlines too") {
  ProcessPool pool{2};
  CHECK_THROWS_AS(pool.with({.timeout = 20ms, .grace = 0ms}).run_on_each_worker([] { hang(); }), TaskTimeout);
  CHECK(pool.run_on_each_worker([] { return 1; }) == std::vector<int>{1, 1});
}

TEST_CASE("a task that waits too long for a worker fails with QueueTimeout and never runs") {
  SharedGate gate;
  SharedCount runs;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  Future<void> first = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  const auto impatient = pool.with({.queue_timeout = 20ms, .label = "impatient"});
  Future<void> waiting = impatient.submit([runs = runs.get()] { ++*runs; });
  CHECK_THROWS_AS(impatient.map([](int i) { return i; }, {1, 2, 3}), QueueTimeout);
  const auto in_chunks = pool.with({.queue_timeout = 20ms, .chunk_size = 4});
  const auto outcomes = in_chunks.map_outcomes([](int i) { return i; }, std::vector<int>(9));
  for (std::size_t i = 0; i < 4; ++i) CHECK_THROWS_WITH(outcomes[i].value(), Contains("items 0 to 3 of a map"));
  for (std::size_t i = 4; i < 8; ++i) CHECK_THROWS_WITH(outcomes[i].value(), Contains("items 4 to 7 of a map"));
  CHECK_THROWS_WITH(outcomes[8].value(), Contains("item 8 of a map"));
  CHECK_THROWS_WITH(waiting.get(), Contains("\"impatient\"") && Contains("20 ms") && Contains("never ran"));
  gate->open();
  first.get();
  pool.wait_idle();
  CHECK(*runs == 0);
}

TEST_CASE("of many tasks with queue timeouts those end that are late, and only those") {
  SharedGate gate;
  SharedCount runs;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  Future<void> first = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  std::vector<Future<void>> early;
  std::vector<Future<void>> patient;
  for (int i = 0; i < 300; ++i) {
    early.push_back(pool.with({.queue_timeout = 5ms}).submit([runs = runs.get()] { ++*runs; }));
    patient.push_back(pool.with({.queue_timeout = 1h}).submit([runs = runs.get()] { ++*runs; }));
  }
  for (Future<void>& future : early) CHECK_THROWS_AS(future.get(), QueueTimeout);
  gate->open();
  for (Future<void>& future : patient) CHECK_NOTHROW(future.get());
  CHECK(*runs == 300);
}

TEST_CASE("a queue timeout is no matter of a task that has begun in time, however long it runs") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  const auto impatient = pool.with({.queue_timeout = 500ms});
  Future<int> first = impatient.submit([gate = gate.get()] { return gate->pass(), 1; });
  REQUIRE(gate->is_reached_by(1));
  Future<void> second = impatient.submit([] {});
  CHECK_THROWS_AS(second.get(), QueueTimeout);  // The deadline of the first was before that.
  CHECK_FALSE(first.is_ready());
  gate->open();
  CHECK(first.get() == 1);
}

TEST_CASE("a queue timeout is no matter of a second try, however long that waits for a worker") {
  SharedCount lives;
  SharedCount tries;
  SharedGate gate;
  ProcessPool pool{{.workers = 1}, [lives = lives.get(), gate = gate.get()] {
                     if (++*lives > 1) gate->pass();
                   }};
  const OpensAtEnd opens{gate};
  const auto impatient = pool.with({.queue_timeout = 500ms, .retries = 1});
  Future<int> first = impatient.submit([tries = tries.get()] {
    if (++*tries == 1) ::raise(SIGKILL);
    return tries->load();
  });
  REQUIRE(gate->is_reached_by(1));
  Future<void> second = impatient.submit([] {});
  CHECK_THROWS_AS(second.get(), QueueTimeout);  // The deadline of the first was before that.
  CHECK_FALSE(first.is_ready());
  gate->open();
  CHECK(first.get() == 2);
}

TEST_CASE("continuations and waits see a timeout when it happens") {
  SharedGate gate;
  ProcessPool pool{2};
  const OpensAtEnd opens{gate};
  Shared<std::atomic<int>> told;
  Future<int> slow = pool.with({.timeout = 20ms, .grace = 1h}).submit([gate = gate.get()] {
    gate->pass();
    return 1;
  });
  slow.on_ready([&](const Outcome<int>& outcome) {
    try {
      static_cast<void>(outcome.value());
    } catch (const TaskTimeout&) {
      ++*told;
    }
  });
  std::vector<Future<int>> both;
  both.push_back(std::move(slow));
  both.push_back(pool.with({.timeout = 1h}).submit([] { return 2; }));
  procpool::wait_all(both);
  Future<int> next = both[0].then([](int n) { return n + 1; });
  CHECK_THROWS_AS(next.get(), TaskTimeout);
  CHECK(both[1].get() == 2);
  CHECK(eventually([&] { return *told == 1; }, 20s));
  CHECK(gate->arrived() == 1);
}

TEST_CASE("the options of time refuse what makes no sense, and take any length") {
  ProcessPool pool{1};
  CHECK_THROWS_AS(pool.with({.timeout = -1ns}), UsageError);
  CHECK_THROWS_AS(pool.with({.queue_timeout = -1ns}), UsageError);
  CHECK_THROWS_WITH(pool.with({.grace = -1ns}), Contains("TaskOptions::grace"));
  const auto longest = std::chrono::nanoseconds::max();
  CHECK(pool.with({.timeout = longest, .queue_timeout = longest, .grace = longest}).submit([] { return 1; }).get() ==
        1);
  CHECK_THROWS_AS(pool.with({.timeout = 1ms, .grace = longest}).submit(run_until_asked_to_stop).get(), TaskTimeout);
}

TEST_CASE("a queue timeout is seen in a pool that has slept before") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  pool.submit([] {}).get();
  int looks = 0;  // in a row: at the first, it may still be about to look once more
  const auto sleeps = [&] { return (looks = pool.sender().core->supervisor().was_asleep() ? looks + 1 : 0) == 3; };
  REQUIRE(eventually(sleeps, 20s));
  Future<void> first = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  Future<void> second = pool.with({.queue_timeout = 300ms}).submit([] {});
  CHECK_THROWS_AS(second.get(), QueueTimeout);
  CHECK(gate->arrived() == 1);
}
