// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using procpool::Cancelled;
using procpool::Future;
using procpool::PoolStats;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::eventually;
using support::OpensAtEnd;
using support::same;
using support::SharedGate;

namespace {

struct Stop final : Cancelled {
  using Cancelled::Cancelled;
};

}  // namespace

TEST_CASE("a pool counts what waits, what runs and what is done") {
  const SharedGate gate;
  ProcessPool pool{2};
  const OpensAtEnd opens(gate);
  const PoolStats before = pool.stats();
  CHECK(before.submitted == 0);
  CHECK(before.completed == 0);
  std::vector<Future<void>> futures;
  for (int i = 0; i < 5; ++i) futures.push_back(pool.submit([gate = gate.get()] { gate->pass(); }));
  REQUIRE(gate->is_reached_by(2));
  const PoolStats during = pool.stats();
  CHECK(during.submitted == 5);
  CHECK(during.running == 2);
  CHECK(during.queued == 3);
  CHECK(during.completed == 0);
  gate->open();
  for (auto& future : futures) future.get();
  const PoolStats after = pool.stats();
  CHECK(after.submitted == 5);
  CHECK(after.completed == 5);
  CHECK(after.running == 0);
  CHECK(after.queued == 0);
  CHECK(after.failed == 0);
}

TEST_CASE("failures that nobody was told of are all counted when the pool has become idle, and their slots come back") {
  constexpr std::size_t count = 30'000;  // more than the ticks before it sleeps look at
  const SharedGate gate;
  ProcessPool pool{{.workers = 2, .queue_capacity = count}};
  const OpensAtEnd opens(gate);
  for (std::size_t i = 0; i < count; ++i) {
    static_cast<void>(pool.submit([gate = gate.get()] {
      gate->pass();
      throw 1;
    }));
  }
  gate->open();
  CHECK(eventually([&] { return pool.stats().dropped_failures == count; }, 20s));
  CHECK(pool.sender().core->exchange().abandoned().count() == 0);
}

TEST_CASE("a pool counts failures, deaths and the failures that nobody was told of") {
  ProcessPool pool{1};
  auto failing = pool.submit([] { throw std::domain_error("no"); });
  auto dying = pool.submit([] { ::raise(SIGKILL); });
  failing.wait();
  dying.wait();
  CHECK(pool.stats().failed == 2);
  CHECK(pool.stats().dropped_failures == 0);
  CHECK(pool.stats().worker_deaths == 1);
  failing = {};
  dying = {};
  CHECK(pool.stats().dropped_failures == 2);
  CHECK(pool.stats().failed == 2);
}

TEST_CASE("a map that failed while it was sent has told its caller") {
  ProcessPool pool{1};
  auto broken = std::views::iota(0, 10) | std::views::transform([](int x) {
                  if (x == 5) throw std::out_of_range("the range is broken");
                  return x;
                });
  CHECK_THROWS_AS(pool.map_async([](int x) { return x; }, broken), std::out_of_range);
  CHECK(pool.stats().dropped_failures == 0);
  CHECK(pool.stats().failed == 0);
}

TEST_CASE("a failure that was taken stays counted as one") {
  ProcessPool pool{1};
  CHECK_THROWS_AS(pool.submit([] { throw std::domain_error("no"); }).get(), std::domain_error);
  CHECK_THROWS_AS(pool.submit([] { ::raise(SIGKILL); }).get(), WorkerDied);
  CHECK(pool.stats().failed == 2);
  CHECK(pool.stats().dropped_failures == 0);
}

TEST_CASE("a cancelled task counts as completed, and not as failed") {
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  auto waiting = pool.submit(same, 1);
  CHECK(waiting.cancel());
  CHECK(pool.stats().completed == 1);
  CHECK(pool.stats().failed == 0);
  gate->open();
  CHECK_THROWS_AS(waiting.get(), Cancelled);
}

TEST_CASE("a map_async that was cancelled has not failed, but one has whose item throws Cancelled itself") {
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto running = pool.with({.chunk_size = 1})
                     .map_async([gate = gate.get()](int x) { return gate->pass(), x; }, std::vector{1, 2, 3});
  REQUIRE(gate->is_reached_by(1));
  auto waiting = pool.map_async(same, std::vector{1, 2, 3});
  CHECK(waiting.cancel());
  CHECK_FALSE(running.cancel());
  gate->open();
  waiting.wait();
  running.wait();
  running = {};
  CHECK(pool.stats().failed == 0);
  CHECK(pool.stats().dropped_failures == 0);
  CHECK_THROWS_AS(waiting.get(), Cancelled);
  auto failing = pool.map_async([](int x) { return x == 2 ? throw Cancelled("by itself") : x; }, std::vector{1, 2, 3});
  failing.wait();
  CHECK(pool.stats().failed == 1);
  CHECK_THROWS_WITH(failing.get(), "by itself");
}

TEST_CASE("a map_async has failed whose item throws an exception of its own that is derived from Cancelled") {
  procpool::register_exception<Stop>();
  ProcessPool pool{1};
  auto failing = pool.map_async([](int x) { return x == 2 ? throw Stop("by itself") : x; }, std::vector{1, 2, 3});
  failing.wait();
  CHECK(pool.stats().failed == 1);
  CHECK_THROWS_AS(failing.get(), Stop);
}

TEST_CASE("a pool tells of each worker what it is doing") {
  const SharedGate gate;
  ProcessPool pool{2};
  const OpensAtEnd opens(gate);
  const auto pids = pool.run_on_each_worker(::getpid);
  auto held = pool.with({.label = "hold the door"}).submit([gate = gate.get()] {
    gate->pass();
    return procpool::this_worker::index();
  });
  REQUIRE(gate->is_reached_by(1));
  const auto find_busy = [&] {
    std::size_t busy = 2;
    for (const auto& worker : pool.workers()) {
      if (worker.label == "hold the door") busy = worker.index;
    }
    return busy;
  };
  CHECK(eventually([&] {
    const std::size_t busy = find_busy();
    return busy < 2 && pool.workers()[busy].running_for > 0ns;
  }));
  const std::size_t busy = find_busy();
  const auto workers = pool.workers();
  REQUIRE(workers.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(workers[i].index == i);
    CHECK(workers[i].pid == pids[i]);
    CHECK(workers[i].tasks_done == 1);
    CHECK(workers[i].label.empty() == (i != busy));
  }
  CHECK(workers[1 - busy].running_for == 0ns);
  gate->open();
  CHECK(held.get() == busy);
  CHECK(eventually([&] { return pool.workers()[busy].tasks_done == 2 && pool.workers()[busy].label.empty(); }));
}

TEST_CASE("the label that a worker shows is cut off after sixty-four bytes") {
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  const std::string label(100, 'x');
  auto held = pool.with({.label = label}).submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  CHECK(pool.workers().front().label == std::string(64, 'x'));
}

TEST_CASE("a worker that replaces a dead one has its place in what the pool tells") {
  ProcessPool pool{1};
  const ::pid_t first = pool.submit(::getpid).get();
  CHECK_THROWS_AS(pool.submit([] { ::raise(SIGKILL); }).get(), WorkerDied);
  const ::pid_t second = pool.submit(::getpid).get();
  CHECK(first != second);
  REQUIRE(pool.workers().size() == 1);
  CHECK(pool.workers().front().pid == second);
}

TEST_CASE("tasks run in the pool's own workers alone, however many there are") {
  ProcessPool pool{3};
  const auto pids = pool.with({.chunk_size = 1}).map([](int) { return ::getpid(); }, std::vector<int>(300));
  std::set<::pid_t> workers;
  CHECK(eventually([&] {  // Those that no task needed may still be on their way.
    workers.clear();
    for (const auto& worker : pool.workers()) workers.insert(worker.pid);
    return workers.size() == 3 && !workers.contains(0);
  }));
  for (const ::pid_t pid : pids) REQUIRE(workers.contains(pid));
}
