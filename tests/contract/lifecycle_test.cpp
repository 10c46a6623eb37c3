// SPDX-License-Identifier: BSL-1.0

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using procpool::Cancelled;
using procpool::Future;
using procpool::PoolClosed;
using procpool::ProcessPool;
using procpool::UsageError;
using support::eventually;
using support::OpensAtEnd;
using support::same;
using support::SharedCount;
using support::SharedGate;

namespace {

/// A task that counts itself, then waits at the gate.
auto counted_wait(const SharedCount& count, const SharedGate& gate) {
  return [count = count.get(), gate = gate.get()] {
    ++*count;
    gate->pass();
  };
}

/// Runs `program` in a child that ends by exit(), as a program that returns from main does. Its exit status.
template <class Program>
int exit_status_of(Program program) {
  std::cout.flush();
  std::fflush(nullptr);
  const ::pid_t child = ::fork();
  if (child == 0) {
    program();
    std::exit(EXIT_SUCCESS);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a pool is neither copied nor moved") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<ProcessPool<>>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<ProcessPool<>>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<ProcessPool<>>);
  STATIC_REQUIRE_FALSE(std::is_move_assignable_v<ProcessPool<>>);
}

TEST_CASE("a pool can live in a member, an optional and a unique_ptr") {
  struct Server {
    ProcessPool<> pool{1};
  };
  Server server;
  CHECK(server.pool.submit(same, 1).get() == 1);
  std::optional<ProcessPool<>> sometimes;
  sometimes.emplace(1);
  CHECK(sometimes->submit(same, 2).get() == 2);
  sometimes.emplace(2);
  CHECK(sometimes->workers().size() == 2);
  sometimes.reset();
  const auto somewhere = std::make_unique<ProcessPool<>>(1);
  CHECK(somewhere->submit(same, 3).get() == 3);
}

TEST_CASE("a static pool finishes its work when the program ends") {
  const SharedCount done;
  CHECK(exit_status_of([&] {
          static ProcessPool<> pool{2};
          for (int i = 0; i < 100; ++i) static_cast<void>(pool.submit([done = done.get()] { ++*done; }));
        }) == EXIT_SUCCESS);
  CHECK(done->load() == 100);
}

TEST_CASE("pools can be made and ended many times") {
  for (int i = 0; i < 30; ++i) {
    ProcessPool pool{2};
    if (i % 2 == 0) REQUIRE(pool.submit(same, i).get() == i);
  }
}

TEST_CASE("the destructor finishes what was submitted") {
  const SharedCount done;
  {
    ProcessPool pool{2};
    for (int i = 0; i < 1000; ++i) static_cast<void>(pool.submit([done = done.get()] { ++*done; }));
  }
  CHECK(done->load() == 1000);
}

TEST_CASE("while an exception unwinds the stack, the destructor cancels what has not started") {
  const SharedGate gate;
  const SharedCount started;
  Future<void> running;
  Future<void> waiting;
  std::optional<std::thread> opener;
  try {
    ProcessPool pool{1};
    running = pool.submit(counted_wait(started, gate));
    waiting = pool.submit(counted_wait(started, gate));
    REQUIRE(gate->is_reached_by(1));
    opener.emplace([&] {
      waiting.wait();
      gate->open();
    });
    throw std::runtime_error("something else went wrong");
  } catch (const std::runtime_error&) {
  }
  opener->join();
  CHECK_NOTHROW(running.get());
  CHECK_THROWS_AS(waiting.get(), Cancelled);
  CHECK(started->load() == 1);
}

TEST_CASE("a pool that is made while an exception unwinds the stack ends like any other") {
  const SharedCount done;
  struct CleansUp {
    std::atomic<int>* done;
    ~CleansUp() {
      ProcessPool pool{1};
      for (int i = 0; i < 10; ++i) static_cast<void>(pool.submit([counter = done] { ++*counter; }));
    }
  };
  try {
    const CleansUp cleans_up{done.get()};
    throw std::runtime_error("something went wrong");
  } catch (const std::runtime_error&) {
  }
  CHECK(done->load() == 10);
}

TEST_CASE("a closed pool takes no more tasks and finishes those it has") {
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto running = pool.submit([gate = gate.get()] {
    gate->pass();
    return 1;
  });
  auto waiting = pool.submit(same, 2);
  pool.close();
  pool.close();
  CHECK_THROWS_AS(pool.submit(same, 3), PoolClosed);
  CHECK_THROWS_AS(pool.try_submit(same, 3), PoolClosed);
  CHECK_THROWS_AS(pool.map(same, std::vector{1}), PoolClosed);
  CHECK_THROWS_AS(pool.map_async(same, std::vector{1}), PoolClosed);
  CHECK_THROWS_AS(pool.run_on_each_worker(same, 1), PoolClosed);
  gate->open();
  CHECK(running.get() == 1);
  CHECK(waiting.get() == 2);
}

TEST_CASE("join before close is a mistake that is named") {
  ProcessPool pool{1};
  CHECK_THROWS_AS(pool.join(), UsageError);
  CHECK_THROWS_AS(static_cast<void>(pool.join_for(1ms)), UsageError);
  CHECK_THROWS_WITH(pool.join(), Catch::Matchers::ContainsSubstring("close()"));
  CHECK(pool.submit(same, 1).get() == 1);
}

TEST_CASE("join waits for all tasks and for the end of the workers") {
  const SharedCount done;
  ProcessPool pool{2};
  const auto pids = pool.run_on_each_worker(::getpid);
  for (int i = 0; i < 100; ++i) static_cast<void>(pool.submit([done = done.get()] { ++*done; }));
  pool.close();
  pool.join();
  CHECK(done->load() == 100);
  for (const ::pid_t pid : pids) CHECK(::kill(pid, 0) == -1);
  pool.join();
}

TEST_CASE("join_for gives up after its time, and the tasks go on") {
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] {
    gate->pass();
    return 1;
  });
  pool.close();
  CHECK_FALSE(pool.join_for(1ms));
  gate->open();
  CHECK(pool.join_for(std::chrono::hours::max()));
  CHECK(held.get() == 1);
}

TEST_CASE("wait_idle waits for what waits and for what runs, and the pool takes more afterwards") {
  const SharedGate gate;
  const SharedCount done;
  ProcessPool pool{2};
  const OpensAtEnd opens(gate);
  for (int i = 0; i < 10; ++i) {
    static_cast<void>(pool.submit([done = done.get(), gate = gate.get()] {
      gate->pass();
      ++*done;
    }));
  }
  CHECK_FALSE(pool.wait_idle_for(1ms));
  gate->open();
  pool.wait_idle();
  CHECK(done->load() == 10);
  CHECK(pool.wait_idle_for(0ms));
  CHECK(pool.submit(same, 1).get() == 1);
}

TEST_CASE("an idle pool needs no waiting") {
  ProcessPool pool{2};
  pool.wait_idle();
  CHECK(pool.wait_idle_for(0ms));
}

TEST_CASE("cancel_pending cancels what has not started and nothing else") {
  const SharedGate gate;
  const SharedCount started;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto running = pool.submit(counted_wait(started, gate));
  REQUIRE(gate->is_reached_by(1));
  std::vector<Future<void>> waiting;
  for (int i = 0; i < 10; ++i) waiting.push_back(pool.submit(counted_wait(started, gate)));
  pool.cancel_pending();
  for (auto& future : waiting) CHECK_THROWS_AS(future.get(), Cancelled);
  gate->open();
  CHECK_NOTHROW(running.get());
  CHECK(started->load() == 1);
  CHECK(pool.submit(same, 1).get() == 1);
}

TEST_CASE("a pool whose pending tasks were cancelled is idle once the running ones have ended") {
  const SharedGate gate;
  const SharedCount started;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  for (int i = 0; i < 10; ++i) static_cast<void>(pool.submit(counted_wait(started, gate)));
  REQUIRE(gate->is_reached_by(1));
  pool.cancel_pending();
  gate->open();
  pool.wait_idle();
  CHECK(started->load() == 1);
}

TEST_CASE("terminate kills the workers, fails what is open and keeps what is done") {
  const SharedGate gate;
  ProcessPool pool{2};
  const OpensAtEnd opens(gate);
  const auto pids = pool.run_on_each_worker(::getpid);
  auto done = pool.submit(same, 1);
  done.wait();
  std::vector<Future<void>> open;
  for (int i = 0; i < 10; ++i) open.push_back(pool.submit([gate = gate.get()] { gate->pass(); }));
  REQUIRE(gate->is_reached_by(2));
  pool.terminate();
  for (const ::pid_t pid : pids) CHECK(::kill(pid, 0) == -1);
  for (auto& future : open) CHECK_THROWS_AS(future.get(), PoolClosed);
  CHECK(done.get() == 1);
  CHECK_THROWS_AS(pool.submit(same, 1), PoolClosed);
  CHECK_THROWS_AS(pool.map(same, std::vector{1}), PoolClosed);
  pool.terminate();
  pool.close();
  pool.join();
}

TEST_CASE("a pool ends while much data is on its way there and back: what was not finished says so") {
  enum class End { termination, join, destruction };
  const std::string text = support::text_of(4 * support::mebi);
  for (const End end : {End::termination, End::join, End::destruction}) {
    INFO("end " << static_cast<int>(end));
    std::optional<ProcessPool<>> pool(2);
    std::vector<Future<std::string>> futures;
    for (int i = 0; i < 20; ++i) futures.push_back(pool->submit([](const std::string& all) { return all; }, text));
    futures.front().wait();
    if (end == End::termination) pool->terminate();
    if (end == End::join) {
      pool->close();
      pool->join();
    }
    pool.reset();
    for (std::size_t i = 0; i < futures.size(); ++i) {
      try {
        const std::string copy = futures[i].get();
        CHECK(copy == text);
      } catch (const PoolClosed&) {
        CHECK((end == End::termination && i > 0));
      }
    }
  }
}

TEST_CASE("terminate ends the waiting of other threads") {
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  std::atomic<int> refused{0};
  std::thread getter([&] {
    try {
      held.get();
    } catch (const PoolClosed&) {
      ++refused;
    }
  });
  std::thread mapper([&] {
    try {
      pool.map(same, std::vector(100, 1));
    } catch (const PoolClosed&) {
      ++refused;
    }
  });
  std::thread idler([&] { pool.wait_idle(); });
  pool.terminate();
  getter.join();
  mapper.join();
  idler.join();
  CHECK(refused == 2);
}

TEST_CASE("a future outlives its pool and keeps its result") {
  Future<std::string> text;
  Future<int> number;
  Future<int> failure;
  {
    ProcessPool pool{2};
    text = pool.submit([] { return std::string(10'000, 'x'); });
    number = pool.submit(same, 1);
    failure = pool.submit([]() -> int { throw std::out_of_range("gone"); });
  }
  CHECK(text.get() == std::string(10'000, 'x'));
  CHECK(number.get() == 1);
  CHECK_THROWS_AS(failure.get(), std::out_of_range);
}

TEST_CASE("a future of a terminated pool throws PoolClosed after the pool has gone") {
  const SharedGate gate;
  Future<void> held;
  {
    ProcessPool pool{1};
    const OpensAtEnd opens(gate);
    held = pool.submit([gate = gate.get()] { gate->pass(); });
    REQUIRE(gate->is_reached_by(1));
    pool.terminate();
  }
  CHECK_THROWS_AS(held.get(), PoolClosed);
}

TEST_CASE("a callback of a future may submit another task") {
  const SharedCount calls;
  ProcessPool pool{2};
  std::atomic<int> second{0};
  Future<int> first = pool.submit(same, 20);
  first.on_ready([&](procpool::Outcome<int> outcome) {
    pool.submit(same, *outcome + 1).on_ready([&](procpool::Outcome<int> next) { second = *next; });
  });
  CHECK(eventually([&] { return second == 21; }));
}

TEST_CASE("a pool may be closed or terminated by any thread, and several may do so at once") {
  ProcessPool pool{2};
  for (int i = 0; i < 100; ++i) static_cast<void>(pool.submit(same, i));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      pool.close();
      pool.join();
    });
    threads.emplace_back([&] { pool.terminate(); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_THROWS_AS(pool.submit(same, 1), PoolClosed);
}
