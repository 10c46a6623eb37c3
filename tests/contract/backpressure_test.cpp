// SPDX-License-Identifier: BSL-1.0

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <climits>
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
using procpool::SharedMemoryExhausted;
using support::eventually;
using support::mebi;
using support::OpensAtEnd;
using support::same;
using support::SharedGate;
using support::size_of;
using support::text_of;

namespace {

/// Nobody waits for it, and it needs no memory.
void leave_task_at(ProcessPool<>& pool, const SharedGate& gate) {
  static_cast<void>(pool.submit([gate = gate.get()] { gate->pass(); }));
  REQUIRE(gate->is_reached_by(1));
}

/// Tasks that wait for the gate, and for which nobody waits, until they hold all the memory for arguments, which the
/// queue may hold.
void fill_memory_with_dropped(ProcessPool<>& pool, const SharedGate& gate) {
  const std::string text = text_of(mebi);
  const auto pass = [gate = gate.get()](const std::string&) { gate->pass(); };
  std::size_t dropped = 0;
  while (pool.try_submit(pass, text)) ++dropped;
  REQUIRE(dropped > 0);
  REQUIRE(dropped < 32);  // The queue has room for more.
}

/// Whether a thread comes to sleep because it has found no room for its task; woken by this, it looks again.
bool a_submit_waits(const ProcessPool<>& pool) {
  auto& bed = pool.sender().core->exchange().signal().ended;
  const auto someone_was_woken = [&] {
    return ::syscall(SYS_futex, &bed, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0) > 0;
  };
  return eventually(someone_was_woken, std::chrono::seconds(20));
}

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

TEST_CASE("maps whose chunks fill the memory go on beside a task that nobody waits for") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 2, .shared_memory = 32 * mebi}};
  const OpensAtEnd opens(gate);
  leave_task_at(pool, gate);
  const std::vector<std::string> items(100, text_of(mebi));
  const std::vector<std::size_t> expected(items.size(), mebi);
  CHECK(pool.map(size_of, items) == expected);
  std::vector<std::size_t> lazily;
  for (const std::size_t size : pool.with({.read_ahead = items.size()}).imap(size_of, items)) lazily.push_back(size);
  CHECK(lazily == expected);
  CHECK(pool.stats().worker_deaths == 0);  // The task waits at the gate.
}

TEST_CASE("a map whose chunks fill the slots goes on beside a task that nobody waits for") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 2, .queue_capacity = 1 << 17, .shared_memory = 32 * mebi}};
  const OpensAtEnd opens(gate);
  leave_task_at(pool, gate);
  std::vector<Future<int>> kept;
  while (auto future = pool.try_submit(same, 0)) kept.push_back(std::move(*future));
  kept.resize(kept.size() - 2);
  const std::vector<int> items = support::numbers(1000);
  CHECK(pool.with({.chunk_size = 1}).map(same, items) == items);
  CHECK(pool.stats().worker_deaths == 0);  // The task waits at the gate.
}

TEST_CASE("while tasks that nobody waits for hold the memory, try_submit gives nothing and submit waits") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .queue_bytes = 32 * mebi, .shared_memory = 32 * mebi}};
  const OpensAtEnd opens(gate);
  fill_memory_with_dropped(pool, gate);
  const std::string text = text_of(mebi);
  CHECK_FALSE(pool.try_submit(size_of, text).has_value());
  std::atomic<bool> is_submitted{false};
  std::thread submitter([&] {
    auto future = pool.submit(size_of, text);
    is_submitted = true;
    CHECK(future.get() == mebi);
  });
  CHECK(a_submit_waits(pool));
  CHECK_FALSE(is_submitted);
  CHECK(pool.stats().worker_deaths == 0);  // The first of them waits at the gate.
  gate->open();
  submitter.join();
  pool.wait_idle();
  CHECK(pool.try_submit(size_of, text).has_value());
}

TEST_CASE("while a task that nobody waits for holds the last slot, try_submit gives nothing and submit waits") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .queue_capacity = 1 << 17, .shared_memory = 32 * mebi}};
  const OpensAtEnd opens(gate);
  leave_task_at(pool, gate);
  std::vector<Future<int>> kept;
  while (auto future = pool.try_submit(same, 1)) kept.push_back(std::move(*future));
  CHECK(kept.size() < std::size_t{1} << 17);
  CHECK(pool.stats().queued == kept.size());
  CHECK_FALSE(pool.try_submit(same, 1).has_value());
  std::atomic<bool> is_submitted{false};
  std::thread submitter([&] {
    kept.push_back(pool.submit(same, 1));
    is_submitted = true;
  });
  CHECK(a_submit_waits(pool));
  CHECK_FALSE(is_submitted);
  CHECK(pool.stats().worker_deaths == 0);  // The task waits at the gate.
  gate->open();
  submitter.join();
  pool.wait_idle();
  CHECK_THROWS_AS(pool.try_submit(same, 1), SharedMemoryExhausted);  // All slots are kept.
  CHECK_THROWS_AS(pool.submit(same, 1), SharedMemoryExhausted);
  kept.clear();
  CHECK(pool.submit(same, 1).get() == 1);
}

TEST_CASE("memory that is kept for futures is not waited for, also beside a task that nobody waits for") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 2, .shared_memory = 32 * mebi}};
  const OpensAtEnd opens(gate);
  const std::string text = text_of(mebi);
  const auto pass = [gate = gate.get()](const std::string&) { gate->pass(); };
  static_cast<void>(pool.submit(pass, text_of(mebi / 16)));  // Less than what is missing.
  REQUIRE(gate->is_reached_by(1));
  std::vector<Future<std::size_t>> kept;
  const auto keep_another = [&] { kept.push_back(pool.submit(size_of, text)); };
  CHECK_THROWS_AS(
      [&] {
        for (;;) keep_another();
      }(),
      SharedMemoryExhausted);
  CHECK_FALSE(kept.empty());
  CHECK_THROWS_AS(pool.try_submit(size_of, text), SharedMemoryExhausted);
  CHECK_THROWS_AS(pool.map(size_of, std::vector{text}), SharedMemoryExhausted);
  CHECK(pool.stats().worker_deaths == 0);  // The task waits at the gate.
  kept.clear();
  CHECK(pool.submit(size_of, text).get() == mebi);
}

TEST_CASE("a submit that waits for memory ends when the pool is closed") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .queue_bytes = 32 * mebi, .shared_memory = 32 * mebi}};
  const OpensAtEnd opens(gate);
  fill_memory_with_dropped(pool, gate);
  std::thread submitter([&] { CHECK_THROWS_AS(pool.submit(size_of, text_of(mebi)), PoolClosed); });
  CHECK(a_submit_waits(pool));
  pool.close();
  submitter.join();
  CHECK(pool.stats().worker_deaths == 0);  // The first of the others waits at the gate.
}

TEST_CASE("threads that submit and forget share the memory: each waits for the tasks of the others") {
  ProcessPool pool{{.workers = 2, .shared_memory = 32 * mebi}};
  const std::string text = text_of(2 * mebi);  // Of four there is room for one a thread.
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) CHECK_NOTHROW(pool.submit(size_of, text));
    });
  }
  for (std::thread& thread : threads) thread.join();
  pool.wait_idle();
  CHECK(pool.stats().completed == 200);
}
