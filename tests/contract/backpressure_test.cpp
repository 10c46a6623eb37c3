// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::Cancelled;
using procpool::Future;
using procpool::PoolClosed;
using procpool::ProcessPool;
using support::eventually;
using support::OpensAtEnd;
using support::same;
using support::SharedGate;

namespace {

/// Keeps the pool's one worker at the gate.
Future<void> hold_worker(ProcessPool<>& pool, const SharedGate& gate) {
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  return held;
}

}  // namespace

TEST_CASE("try_submit gives nothing while the queue is full, and a future once there is room") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .queue_capacity = 8}};
  const OpensAtEnd opens(gate);
  auto held = hold_worker(pool, gate);
  std::vector<Future<int>> accepted;
  while (std::optional<Future<int>> future = pool.try_submit(same, 1)) accepted.push_back(std::move(*future));
  CHECK(accepted.size() == 8);
  CHECK(pool.stats().queued == 8);
  CHECK_FALSE(pool.try_submit(same, 1).has_value());
  gate->open();
  for (auto& future : accepted) CHECK(future.get() == 1);
  auto late = pool.try_submit(same, 2);
  REQUIRE(late.has_value());
  CHECK(late->get() == 2);
}

TEST_CASE("submit waits while the queue is full") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .queue_capacity = 4}};
  const OpensAtEnd opens(gate);
  auto held = hold_worker(pool, gate);
  std::atomic<int> submitted{0};
  std::vector<Future<int>> futures;
  std::thread submitter([&] {
    for (int i = 0; i < 20; ++i) {
      futures.push_back(pool.submit(same, i));
      ++submitted;
    }
  });
  CHECK(eventually([&] { return submitted == 4; }));
  CHECK_FALSE(pool.try_submit(same, 0).has_value());
  CHECK(submitted == 4);
  gate->open();
  submitter.join();
  for (int i = 0; i < 20; ++i) CHECK(futures[static_cast<std::size_t>(i)].get() == i);
}

TEST_CASE("a queue of one place suffices for every verb") {
  ProcessPool pool{{.workers = 2, .queue_capacity = 1}};
  std::vector<Future<int>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(pool.submit(same, i));
  for (int i = 0; i < 100; ++i) REQUIRE(futures[static_cast<std::size_t>(i)].get() == i);
  const auto items = std::views::iota(0, 100);
  const std::vector<int> expected(items.begin(), items.end());
  CHECK(pool.map(same, items) == expected);
  CHECK(pool.with({.chunk_size = 1}).map_async(same, items).get() == expected);
  std::vector<int> lazily;
  for (const int result : pool.imap(same, items)) lazily.push_back(result);
  CHECK(lazily == expected);
}

TEST_CASE("several threads that wait for room in the queue all get it") {
  ProcessPool pool{{.workers = 2, .queue_capacity = 2}};
  std::atomic<int> sum{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      std::vector<Future<int>> futures;
      for (int i = 0; i < 200; ++i) futures.push_back(pool.submit(same, 1));
      for (auto& future : futures) sum += future.get();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(sum == 1600);
}

TEST_CASE("cancelling what waits makes room in the queue") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .queue_capacity = 4}};
  const OpensAtEnd opens(gate);
  auto held = hold_worker(pool, gate);
  std::vector<Future<int>> waiting;
  for (int i = 0; i < 4; ++i) waiting.push_back(pool.submit(same, i));
  REQUIRE_FALSE(pool.try_submit(same, 0).has_value());
  CHECK(waiting.front().cancel());
  auto next = pool.try_submit(same, 5);
  REQUIRE(next.has_value());
  gate->open();
  CHECK_THROWS_AS(waiting.front().get(), Cancelled);
  CHECK(waiting.back().get() == 3);
  CHECK(next->get() == 5);
}

TEST_CASE("results that wait to be taken take no place in the queue") {
  ProcessPool pool{{.workers = 1, .queue_capacity = 2}};
  std::vector<Future<int>> futures;
  for (int i = 0; i < 1000; ++i) futures.push_back(pool.submit(same, i));
  pool.wait_idle();
  CHECK(pool.try_submit(same, 0).has_value());
  for (int i = 0; i < 1000; ++i) REQUIRE(futures[static_cast<std::size_t>(i)].get() == i);
}

TEST_CASE("a submit that waits for room ends when the pool is closed") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .queue_capacity = 2}};
  const OpensAtEnd opens(gate);
  auto held = hold_worker(pool, gate);
  std::atomic<int> submitted{0};
  std::atomic<bool> was_refused{false};
  std::thread submitter([&] {
    try {
      for (;;) {
        static_cast<void>(pool.submit(same, 1));
        ++submitted;
      }
    } catch (const PoolClosed&) {
      was_refused = true;
    }
  });
  CHECK(eventually([&] { return submitted == 2; }));
  pool.close();
  CHECK(eventually([&] { return was_refused.load(); }));
  gate->open();
  submitter.join();
  CHECK(submitted == 2);
}

TEST_CASE("a submit that waits for room ends when the pool is terminated") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .queue_capacity = 2}};
  const OpensAtEnd opens(gate);
  auto held = hold_worker(pool, gate);
  std::atomic<int> submitted{0};
  std::thread submitter([&] {
    try {
      for (;;) {
        static_cast<void>(pool.submit(same, 1));
        ++submitted;
      }
    } catch (const PoolClosed&) {
    }
  });
  CHECK(eventually([&] { return submitted == 2; }));
  pool.terminate();
  submitter.join();
  CHECK_THROWS_AS(held.get(), PoolClosed);
}

TEST_CASE("each priority has a queue of its own") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .queue_capacity = 2}};
  const OpensAtEnd opens(gate);
  auto held = hold_worker(pool, gate);
  std::vector<Future<int>> futures;
  while (auto future = pool.try_submit(same, 1)) futures.push_back(std::move(*future));
  const auto urgent = pool.with({.priority = procpool::Priority::high});
  auto first = urgent.try_submit(same, 2);
  CHECK(first.has_value());
  gate->open();
  CHECK(first->get() == 2);
}
