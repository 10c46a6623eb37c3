// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"

using procpool::ProcessPool;
using procpool::WorkerDied;
using support::OpensAtEnd;
using support::SharedCount;
using support::SharedGate;

namespace {

int setting = 0;  // of each worker

}  // namespace

TEST_CASE("every worker runs a function that is sent to each, and the results come by index") {
  ProcessPool pool{4};
  const auto indices = pool.run_on_each_worker(procpool::this_worker::index);
  CHECK(indices == std::vector<std::size_t>{0, 1, 2, 3});
  const auto pids = pool.run_on_each_worker(::getpid);
  CHECK(std::set(pids.begin(), pids.end()).size() == 4);
  CHECK(pool.run_on_each_worker(::getpid) == pids);
  CHECK(support::eventually([&] {
    const auto workers = pool.workers();
    return std::ranges::equal(workers, pids, {}, &procpool::WorkerInfo::pid);
  }));
}

TEST_CASE("what each worker was told holds for its later tasks") {
  ProcessPool pool{2};
  pool.run_on_each_worker([](int value) { setting = value; }, 7);
  CHECK(pool.map([](int) { return setting; }, std::vector(20, 0)) == std::vector(20, 7));
}

TEST_CASE("arguments for each worker may be of any type that crosses") {
  ProcessPool pool{2};
  const auto greet = [](const std::string& name, int index) { return name + std::to_string(index); };
  CHECK(pool.run_on_each_worker(greet, "worker ", 1) == std::vector<std::string>{"worker 1", "worker 1"});
}

TEST_CASE("a worker that is busy runs what is sent to each when it is free") {
  const SharedGate gate;
  const SharedCount calls;
  ProcessPool pool{2};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  std::thread caller([&] { pool.run_on_each_worker([calls = calls.get()] { ++*calls; }); });
  CHECK(support::eventually([&] { return calls->load() == 1; }));
  CHECK(pool.submit([] { return 1; }).get() == 1);  // The free one takes other tasks meanwhile.
  gate->open();
  caller.join();
  CHECK(calls->load() == 2);
  held.get();
}

TEST_CASE("a failure on one worker is thrown once all have run") {
  const SharedCount calls;
  ProcessPool pool{3};
  const auto fail_on_one = [calls = calls.get()] {
    ++*calls;
    if (procpool::this_worker::index() == 1) throw std::domain_error("no");
    return 0;
  };
  CHECK_THROWS_AS(pool.run_on_each_worker(fail_on_one), std::domain_error);
  CHECK(calls->load() == 3);
}

TEST_CASE("a worker that dies of what is sent to each is reported and replaced") {
  ProcessPool pool{2};
  const auto crash_on_one = [] {
    if (procpool::this_worker::index() == 1) ::raise(SIGKILL);
  };
  CHECK_THROWS_AS(pool.run_on_each_worker(crash_on_one), WorkerDied);
  CHECK(pool.run_on_each_worker(procpool::this_worker::index) == std::vector<std::size_t>{0, 1});
}

TEST_CASE("a call to each worker that ends early takes back what has not begun") {
  const SharedGate first;
  const SharedGate second;
  const SharedCount calls;
  ProcessPool pool{2};
  const OpensAtEnd opens_first(first);
  const OpensAtEnd opens_second(second);
  const auto hold = [first = first.get(), second = second.get()] {
    (procpool::this_worker::index() == 0 ? first : second)->pass();
  };
  const auto held = {pool.submit(hold), pool.submit(hold)};
  REQUIRE(first->is_reached_by(1));
  REQUIRE(second->is_reached_by(1));
  first->open();
  const auto refuse = [](const procpool::Progress&) { throw std::runtime_error("no more"); };
  CHECK_THROWS_WITH(pool.with({}).on_progress(refuse).run_on_each_worker([calls = calls.get()] { return ++*calls; }),
                    "no more");
  CHECK(pool.stats().queued == 0);
  second->open();
  CHECK(pool.run_on_each_worker(procpool::this_worker::index) == std::vector<std::size_t>{0, 1});
  procpool::wait_all(held);
  pool.wait_idle();
  CHECK(calls->load() == 1);
  CHECK(pool.stats().dropped_failures == 0);
}

TEST_CASE("a call to each worker from the progress callback of another one is refused, for it would wait for itself") {
  ProcessPool pool{2};
  int refusals = 0;
  const auto again = [&](const procpool::Progress&) {
    CHECK_THROWS_AS(pool.run_on_each_worker([] {}), procpool::UsageError);
    CHECK_THROWS_AS(pool.resize(3), procpool::UsageError);
    ++refusals;
  };
  pool.with({}).on_progress(again).run_on_each_worker([] {});
  CHECK(refusals > 0);
  pool.resize(3);
  CHECK(pool.run_on_each_worker([] { return 1; }).size() == 3);
}

TEST_CASE("several threads may send to each worker at once") {
  const SharedCount calls;
  ProcessPool pool{2};
  std::atomic<int> results{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        results += static_cast<int>(pool.run_on_each_worker([calls = calls.get()] { return ++*calls; }).size());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(results == 160);
  CHECK(calls->load() == 160);
}
