// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using procpool::Cancelled;
using procpool::Future;
using procpool::ProcessPool;
using procpool::SharedFuture;
using support::OpensAtEnd;
using support::pid_of_worker;
using support::same;
using support::SharedGate;

namespace {

/// Waits at the gate for ever: only SIGKILL ends it.
[[noreturn]] void hang_at(support::Gate* gate) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  gate->pass();
  for (;;) ::pause();
}

}  // namespace

TEST_CASE("kill() ends a running task and its worker, which is replaced; the future throws Cancelled") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  const ::pid_t before = pool.submit(pid_of_worker).get();
  Future<void> future = pool.submit([gate = gate.get()] { hang_at(gate); });
  REQUIRE(gate->is_reached_by(1));
  future.kill();
  CHECK_THROWS_AS(future.get(), Cancelled);
  CHECK(pool.submit(pid_of_worker).get() != before);
  CHECK(pool.stats().worker_deaths == 1);
}

TEST_CASE("a task that was killed has not failed: no wait finds it, and no count has it") {
  SharedGate gate;
  ProcessPool pool{2};
  const OpensAtEnd opens{gate};
  std::vector<Future<void>> futures;
  for (int i = 0; i < 2; ++i) futures.push_back(pool.submit([gate = gate.get()] { hang_at(gate); }));
  REQUIRE(gate->is_reached_by(2));
  for (Future<void>& future : futures) future.kill();
  CHECK_FALSE(procpool::wait_first_exception(futures));
  CHECK(pool.stats().failed == 0);
  CHECK_THROWS_AS(futures.front().get(), Cancelled);
  futures.clear();
  CHECK(pool.stats().failed == 0);
  CHECK(pool.stats().dropped_failures == 0);
}

TEST_CASE("kill() of a task that waits cancels it, and of one that has ended does nothing") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  Future<::pid_t> ended = pool.submit(pid_of_worker);
  ended.wait();
  ended.kill();
  const ::pid_t before = ended.get();
  Future<void> running = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  Future<::pid_t> waiting = pool.submit(pid_of_worker);
  waiting.kill();
  CHECK_THROWS_AS(waiting.get(), Cancelled);
  gate->open();
  running.get();
  CHECK(pool.submit(pid_of_worker).get() == before);
}

TEST_CASE("kill() of a map_async ends what runs of it, and nothing else of it begins") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  Future<std::vector<int>> all = pool.with({.chunk_size = 1})
                                     .map_async(
                                         [gate = gate.get()](int x) {
                                           if (x == 2) hang_at(gate);
                                           return x;
                                         },
                                         std::vector{0, 1, 2, 3, 4, 5, 6, 7});
  REQUIRE(gate->is_reached_by(1));
  all.kill();
  CHECK_FALSE(procpool::wait_first_exception(std::span(&all, 1)));
  CHECK_FALSE(all.cancel());  // For some of it has run.
  CHECK_THROWS_WITH(all.get(), "the map was cancelled before all its items had ended");
  pool.wait_idle();
  CHECK(gate->arrived() == 1);
  CHECK(pool.stats().failed == 0);
  CHECK(pool.stats().worker_deaths == 1);
  CHECK(pool.map(same, std::vector{1, 2}) == std::vector{1, 2});
}

TEST_CASE("a killed task is not tried again, whatever its terms") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  Future<void> future =
      pool.with({.timeout = 1h, .retries = 9, .retries_on_timeout = 9}).submit([gate = gate.get()] { hang_at(gate); });
  REQUIRE(gate->is_reached_by(1));
  future.kill();
  future.kill();
  CHECK_THROWS_AS(future.get(), Cancelled);
  CHECK(gate->arrived() == 1);
}

TEST_CASE("a SharedFuture and the future of a continuation pass a kill on") {
  SharedGate gate;
  ProcessPool pool{2};
  const OpensAtEnd opens{gate};
  SharedFuture<void> shared = pool.submit([gate = gate.get()] { hang_at(gate); }).share();
  Future<int> next = pool.submit([gate = gate.get()] { return hang_at(gate), 1; }).then([](int n) { return n; });
  REQUIRE(gate->is_reached_by(2));
  shared.kill();
  next.kill();
  CHECK_THROWS_AS(shared.get(), Cancelled);
  CHECK_THROWS_AS(next.get(), Cancelled);
  CHECK(pool.run_on_each_worker([] { return 1; }).size() == 2);
}

TEST_CASE("what waits for a task that was killed while it ran says so, and has not failed either") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  std::vector<Future<int>> parts;
  parts.push_back(pool.submit([gate = gate.get()] { return hang_at(gate), 1; }));
  std::vector<Future<std::size_t>> next;
  next.push_back(procpool::when_all(std::move(parts)).then([](const std::vector<int>& all) { return all.size(); }));
  REQUIRE(gate->is_reached_by(1));
  next.front().kill();
  CHECK_FALSE(procpool::wait_first_exception(next));
  CHECK_FALSE(next.front().cancel());  // For it has run.
  CHECK(pool.stats().failed == 0);
  CHECK_THROWS_WITH(next.front().get(), "the task was cancelled while a worker had it, which was killed and replaced");
}

TEST_CASE("kills at any moment end the tasks that are meant and no other") {
  ProcessPool pool{2};
  std::vector<Future<int>> futures;
  futures.reserve(2000);
  for (int i = 0; i < 2000; ++i) {
    futures.push_back(pool.submit(
        [](int n) {
          for (std::atomic<int> turns{0}; turns < 2000; ++turns) continue;
          while (n % 25 == 24) ::pause();  // However busy the machine is, some are killed in time.
          return n;
        },
        i));
    if (i % 5 != 4) continue;
    while (!futures.back().is_running() && !futures.back().is_ready()) continue;
    futures.back().kill();
  }
  std::size_t killed = 0;
  for (int i = 0; i < 2000; ++i) {
    try {
      const int value = futures[static_cast<std::size_t>(i)].get();
      CHECK(value == i);
    } catch (const Cancelled&) {
      ++killed;
      CHECK(i % 5 == 4);
    }
  }
  pool.wait_idle();
  CHECK(killed >= 80);
  CHECK(pool.stats().worker_deaths == killed);
}

TEST_CASE("the pool ends in order while a killed worker is on its way out") {
  SharedGate gate;
  const OpensAtEnd opens{gate};
  Future<void> future;
  {
    ProcessPool pool{1};
    future = pool.submit([gate = gate.get()] { hang_at(gate); });
    REQUIRE(gate->is_reached_by(1));
    future.kill();
  }
  CHECK_THROWS_AS(future.get(), Cancelled);
}
