// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <procpool/detail/os/sanitizers.hpp>
#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using procpool::Future;
using procpool::PoolClosed;
using procpool::ProcessPool;
using procpool::UsageError;
using procpool::WorkerDied;
using support::eventually;
using support::numbers;
using support::OpensAtEnd;
using support::SharedCount;
using support::SharedGate;

namespace {

template <class Pool>
std::size_t living(const Pool& pool) {
  const auto workers = pool.workers();
  return static_cast<std::size_t>(
      std::count_if(workers.begin(), workers.end(), [](const procpool::WorkerInfo& each) { return each.pid != 0; }));
}

}  // namespace

TEST_CASE("a pool grows: the new workers run their initializer and take tasks beside the old ones") {
  SharedCount initialized;
  SharedGate gate;
  ProcessPool pool{1, [initialized = initialized.get()] { ++*initialized; }};
  const OpensAtEnd opens{gate};
  pool.resize(5);
  std::vector<Future<void>> futures;
  for (int i = 0; i < 5; ++i) futures.push_back(pool.submit([gate = gate.get()] { gate->pass(); }));
  CHECK(gate->is_reached_by(5));
  gate->open();
  procpool::wait_all(futures);
  CHECK(*initialized == 5);
  CHECK(pool.workers().size() == 5);
  CHECK(pool.run_on_each_worker([] { return procpool::this_worker::index(); }) ==
        std::vector<std::size_t>{0, 1, 2, 3, 4});
}

TEST_CASE("what the new workers of a pool that has grown announce is heard, and not found by a search alone") {
  SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  pool.resize(3);
  auto results =
      pool.with({.chunk_size = 1}).imap_unordered([gate = gate.get()](int n) { return gate->pass(), n; }, numbers(3));
  REQUIRE(gate->is_reached_by(3));  // Each worker has one, and announces its end.
  gate->open();
  int sum = 0;
  for (const int n : results) sum += n;
  CHECK(sum == 3);
  const auto is_heard = [&] {
    static_cast<void>(pool.map(support::twice, numbers(3)));
    const auto& exchange = pool.sender().core->exchange();
    return !exchange.completions(1).had_something() && !exchange.completions(2).had_something();
  };
  CHECK(eventually(is_heard, 20s));
}

TEST_CASE("a pool shrinks: idle workers leave in order, busy ones when their task has ended") {
  SharedCount left;
  SharedGate gate;
  ProcessPool pool{{.workers = 4, .at_worker_exit = [left = left.get()] { ++*left; }}};
  const OpensAtEnd opens{gate};
  std::vector<Future<int>> futures;
  for (int i = 0; i < 4; ++i) futures.push_back(pool.submit([gate = gate.get()](int n) { return gate->pass(), n; }, i));
  REQUIRE(gate->is_reached_by(4));
  REQUIRE(support::pids_of(pool).size() == 4);
  pool.resize(1);
  CHECK(living(pool) == 4);
  gate->open();
  for (int i = 0; i < 4; ++i) CHECK(futures[static_cast<std::size_t>(i)].get() == i);
  CHECK(eventually([&] { return living(pool) == 1; }, 20s));
  CHECK(*left == 3);
  CHECK(pool.stats().worker_deaths == 0);
  CHECK(pool.stats().recycled == 0);
  CHECK(pool.run_on_each_worker([] { return 1; }).size() == 1);
}

TEST_CASE("a pool shrinks though all of it sleeps: those that are to leave are woken for it") {
  SharedCount left;
  ProcessPool pool{
      {.workers = 3, .wait = procpool::WaitPolicy::block, .at_worker_exit = [left = left.get()] { ++*left; }}};
  pool.run_on_each_worker([] {});
  int looks = 0;  // in a row: at the first, it may still be about to look once more
  const auto sleeps = [&] { return (looks = pool.sender().core->supervisor().was_asleep() ? looks + 1 : 0) == 3; };
  REQUIRE(eventually(sleeps, 20s));
  pool.resize(1);
  CHECK(eventually([&] { return living(pool) == 1; }, 20s));
  CHECK(*left == 2);
}

TEST_CASE("nothing is lost while a pool changes its size again and again and workers die") {
  ProcessPool pool{2};
  const std::vector<int> items = numbers(2000);
  std::atomic<bool> is_over{false};
  std::thread resizer([&] {
    for (int i = 0; !is_over; ++i) {
      pool.resize(1 + i * 7 % 9);
      std::this_thread::yield();
    }
  });
  std::size_t deaths = 0;
  for (int round = 0; round < 10; ++round) {
    const auto outcomes = pool.map_outcomes([](int i) { return i % 500 == 499 ? (::raise(SIGKILL), 0) : i; }, items);
    for (const auto& outcome : outcomes) {
      if (!outcome) ++deaths;
      else if (*outcome != static_cast<int>(outcome.position())) FAIL("item " << outcome.position());
    }
  }
  is_over = true;
  resizer.join();
  CHECK(deaths == 10 * 4);
  CHECK(pool.stats().worker_deaths == deaths);
  pool.resize(3);
  CHECK(pool.run_on_each_worker([] { return 1; }).size() == 3);
}

TEST_CASE("resize() refuses what makes no sense, and a pool that is closed") {
  ProcessPool pool{1};
  CHECK_THROWS_AS(pool.resize(-1), UsageError);
  CHECK_THROWS_WITH(pool.resize(65), Catch::Matchers::Contains("65") && Catch::Matchers::Contains("64"));
  pool.resize(64U);
  pool.resize(0);
  CHECK(pool.workers().size() >= 1);
  CHECK(pool.submit([] { return 1; }).get() == 1);
  pool.close();
  CHECK_THROWS_AS(pool.resize(2), PoolClosed);
}

TEST_CASE("idle workers above min_workers leave, and come back for work of either kind") {
  SharedGate gate;
  ProcessPool pool{{.workers = 3, .min_workers = 1}};
  const OpensAtEnd opens{gate};
  pool.run_on_each_worker([] {});
  CHECK(eventually([&] { return living(pool) == 1; }, 20s));
  CHECK(eventually([&] { return pool.stats().recycled == 2; }, 20s));  // The supervisor counts them a moment later.
  SECTION("tasks") {
    std::vector<Future<void>> futures;
    for (int i = 0; i < 3; ++i) futures.push_back(pool.submit([gate = gate.get()] { gate->pass(); }));
    CHECK(gate->is_reached_by(3));
    gate->open();
    procpool::wait_all(futures);
  }
  SECTION("a task for each worker") {
    CHECK(pool.run_on_each_worker([] { return 1; }).size() == 3);
  }
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("a task that waits brings one worker back, however long that takes, not all that have left") {
  SharedCount begun;
  SharedGate busy;
  SharedGate returning;
  ProcessPool pool{{.workers = 6, .min_workers = 1}, [begun = begun.get(), returning = returning.get()] {
                     if (++*begun > 6 && procpool::this_worker::index() != 0) returning->pass();
                   }};
  const OpensAtEnd opens_busy{busy};
  const OpensAtEnd opens_returning{returning};
  pool.run_on_each_worker([] {});
  REQUIRE(eventually([&] { return living(pool) == 1; }, 20s));
  Future<void> first = pool.submit([busy = busy.get()] { busy->pass(); });
  REQUIRE(busy->is_reached_by(1));
  Future<void> second = pool.submit([] {});
  REQUIRE(returning->is_reached_by(1));
  first.kill();  // The supervisor has looked again when it has replaced this worker, which takes what waits.
  second.get();
  CHECK(*begun == 8);
}

TEST_CASE("a worker that holds too much memory is replaced between two tasks, and nothing is lost") {
  ProcessPool pool{{.workers = 1, .max_memory_per_worker = std::size_t{64} << 20}};
  std::set<::pid_t> pids;
  for (int i = 0; i < 12; ++i) {
    pids.insert(pool.submit([] {
                      static std::vector<std::string> leaked;
                      leaked.emplace_back(std::size_t{20} << 20, 'x');
                      return ::getpid();
                    })
                    .get());
  }
  CHECK(pids.size() > 1);
  // A sanitizer takes more than that for itself.
  if (!procpool::detail::is_sanitized) CHECK(pids.size() <= 6);
  CHECK(pool.stats().recycled >= pids.size() - 1);
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("workers that hold too much memory are replaced while tasks and items wait for them, and nothing is lost") {
  ProcessPool pool{{.workers = 2, .max_memory_per_worker = std::size_t{32} << 20}};
  const auto leak_and_double = [](int n) {
    static std::vector<std::string> leaked;
    leaked.emplace_back(std::size_t{4} << 20, 'x');
    return 2 * n;
  };
  std::vector<Future<int>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(pool.submit(leak_and_double, i));
  for (int i = 0; i < 100; ++i) CHECK(futures[static_cast<std::size_t>(i)].get() == 2 * i);
  CHECK(pool.stats().recycled > 0);
  const std::vector<int> doubled = pool.with({.chunk_size = 5}).map(leak_and_double, support::numbers(100));
  for (int i = 0; i < 100; ++i) CHECK(doubled[static_cast<std::size_t>(i)] == 2 * i);
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("a worker replaced after every task stalls nothing, however many wait") {
  ProcessPool pool{{.workers = 2, .max_tasks_per_worker = 1}};
  std::vector<Future<int>> futures;
  for (int i = 0; i < 200; ++i) futures.push_back(pool.submit([](int n) { return n; }, i));
  for (int i = 0; i < 200; ++i) CHECK(futures[static_cast<std::size_t>(i)].get() == i);
  pool.wait_idle();
  CHECK(eventually([&] { return pool.stats().recycled == 200; }, 20s));
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("the results of any number of recycled workers can be held at a time") {
  ProcessPool pool{{.workers = 2, .shared_memory = std::size_t{16} << 20, .max_tasks_per_worker = 1}};
  const std::size_t lives = 5 * pool.sender().core->exchange().outbox.count();
  std::vector<Future<std::string>> futures;
  for (std::size_t i = 0; i < lives; ++i) {
    futures.push_back(pool.submit([](std::size_t size) { return std::string(size, 'x'); }, 200 + i));
  }
  pool.wait_idle();
  for (std::size_t i = 0; i < lives; ++i) CHECK(futures[i].get() == std::string(200 + i, 'x'));
}

TEST_CASE("a pool that shrinks below a worker for which a task was posted in vain becomes idle all the same") {
  SharedGate gate;
  ProcessPool pool{{.workers = 3, .shared_memory = std::size_t{32} << 20}};
  const OpensAtEnd opens{gate};
  std::vector<Future<void>> busy;
  for (int i = 0; i < 3; ++i) busy.push_back(pool.submit([gate = gate.get()] { gate->pass(); }));
  REQUIRE(gate->is_reached_by(3));
  // The memory for the arguments suffices for two of them: the call ends before it has reached all workers.
  const std::string large(pool.sender().core->exchange().arguments.region().size() * 2 / 5, 'x');
  CHECK_THROWS_AS(pool.run_on_each_worker([](const std::string& text) { return text.size(); }, large),
                  procpool::SharedMemoryExhausted);
  REQUIRE(pool.sender().core->layout().row(1).mailbox.load() != 0);
  pool.resize(1);
  gate->open();
  procpool::wait_all(busy);
  CHECK(pool.wait_idle_for(20s));
  CHECK(pool.run_on_each_worker([] { return 1; }).size() == 1);
}
