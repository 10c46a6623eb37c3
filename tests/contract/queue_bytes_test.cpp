// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::Future;
using procpool::PoolClosed;
using procpool::PoolOptions;
using procpool::ProcessPool;
using support::argument_bytes;
using support::eventually;
using support::mebi;
using support::OpensAtEnd;
using support::same;
using support::SharedGate;
using support::size_of;
using support::text_of;

namespace {

constexpr std::size_t third = mebi / 3 - 1000;  // of a mebibyte, with what is sent beside it

/// A pool of one worker, who stands at the gate, and with room for three such arguments to wait.
struct Held {
  SharedGate gate;
  ProcessPool<> pool{PoolOptions{.workers = 1, .queue_bytes = mebi}};
  OpensAtEnd opens{gate};
  Future<void> held = pool.submit([gate = gate.get()] { gate->pass(); });

  Held() { REQUIRE(gate->is_reached_by(1)); }

  /// Submits until too many bytes wait.
  std::vector<Future<std::size_t>> fill() {
    std::vector<Future<std::size_t>> accepted;
    while (auto future = pool.try_submit(size_of, text_of(third))) accepted.push_back(std::move(*future));
    return accepted;
  }
};

/// Submits again and again in a thread, until the pool is closed.
class Submitter {
 public:
  explicit Submitter(ProcessPool<>& pool)
      : thread_([this, &pool] {
          try {
            for (;;) {
              static_cast<void>(pool.submit(size_of, text_of(third)));
              ++submitted_;
            }
          } catch (const PoolClosed&) {
            was_refused_ = true;
          }
        }) {}
  Submitter(const Submitter&) = delete;
  Submitter& operator=(const Submitter&) = delete;
  ~Submitter() { thread_.join(); }

  [[nodiscard]] int submitted() const noexcept { return submitted_; }
  [[nodiscard]] bool was_refused() const noexcept { return was_refused_; }

 private:
  std::atomic<int> submitted_{0};
  std::atomic<bool> was_refused_{false};
  std::thread thread_;
};

}  // namespace

TEST_CASE("try_submit gives nothing while too many bytes wait, and a future once there are fewer") {
  Held scene;
  std::vector<Future<std::size_t>> accepted = scene.fill();
  CHECK(accepted.size() == 3);
  CHECK_FALSE(scene.pool.try_submit(size_of, text_of(third)).has_value());
  auto small = scene.pool.try_submit(same, 1);  // It takes no block.
  REQUIRE(small.has_value());
  scene.gate->open();
  for (auto& future : accepted) CHECK(future.get() == third);
  CHECK(small->get() == 1);
  auto late = scene.pool.try_submit(size_of, text_of(third));
  REQUIRE(late.has_value());
  CHECK(late->get() == third);
}

TEST_CASE("submit waits while too many bytes wait, and goes on as workers take them") {
  Held scene;
  std::atomic<int> submitted{0};
  std::vector<Future<std::size_t>> futures;
  std::thread submitter([&] {
    for (int i = 0; i < 20; ++i) {
      futures.push_back(scene.pool.submit(size_of, text_of(third)));
      ++submitted;
    }
  });
  CHECK(eventually([&] { return submitted == 3; }));
  CHECK_FALSE(scene.pool.try_submit(size_of, text_of(third)).has_value());
  CHECK(submitted == 3);
  scene.gate->open();
  submitter.join();
  for (auto& future : futures) CHECK(future.get() == third);
}

TEST_CASE("a task whose arguments exceed all the bytes that may wait goes when no other waits") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .queue_bytes = 1}};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()](const std::string&) { gate->pass(); }, text_of(mebi));
  REQUIRE(gate->is_reached_by(1));
  auto large = pool.try_submit(size_of, text_of(mebi));  // What runs does not wait.
  REQUIRE(large.has_value());
  CHECK_FALSE(pool.try_submit(size_of, text_of(100)).has_value());
  gate->open();
  CHECK(large->get() == mebi);
  std::vector<Future<std::size_t>> futures;
  for (std::size_t i = 1; i <= 100; ++i) futures.push_back(pool.submit(size_of, text_of(i * 1000)));
  for (std::size_t i = 1; i <= 100; ++i) CHECK(futures[i - 1].get() == i * 1000);
  const std::vector<std::string> items(20, text_of(third));
  const std::vector<std::size_t> expected(items.size(), third);
  CHECK(pool.map(size_of, items) == expected);
  CHECK(pool.with({.chunk_size = 1}).map_async(size_of, items).get() == expected);
  std::vector<std::size_t> lazily;
  for (const std::size_t size : pool.imap_unordered(size_of, items)) lazily.push_back(size);
  CHECK(lazily == expected);
}

TEST_CASE("tasks that run, and those that have ended though their futures are held, take no bytes of the queue") {
  Held scene;
  scene.gate->open();
  std::vector<Future<std::size_t>> futures;
  for (int i = 0; i < 30; ++i) futures.push_back(scene.pool.submit(size_of, text_of(third)));
  procpool::wait_all(futures);
  CHECK(scene.fill().size() >= 3);
  for (auto& future : futures) CHECK(future.get() == third);
}

TEST_CASE("cancelling what waits makes room in bytes") {
  Held scene;
  std::vector<Future<std::size_t>> waiting = scene.fill();
  std::atomic<bool> is_submitted{false};
  std::thread submitter([&] {
    auto future = scene.pool.submit(size_of, text_of(third));
    is_submitted = true;
    CHECK(future.get() == third);
  });
  CHECK_FALSE(is_submitted);
  CHECK(waiting.back().cancel());
  CHECK(eventually([&] { return is_submitted.load(); }));
  waiting.front().cancel();
  waiting.erase(waiting.begin());
  CHECK(scene.pool.try_submit(size_of, text_of(third)).has_value());
  CHECK_FALSE(scene.pool.try_submit(size_of, text_of(third)).has_value());
  scene.gate->open();
  submitter.join();
}

TEST_CASE("each priority has bytes of its own") {
  Held scene;
  const auto accepted = scene.fill();
  const auto urgent = scene.pool.with({.priority = procpool::Priority::high});
  auto first = urgent.try_submit(size_of, text_of(third));
  REQUIRE(first.has_value());
  scene.gate->open();
  CHECK(first->get() == third);
}

TEST_CASE("a submit that waits for bytes ends when the pool is closed") {
  Held scene;
  const Submitter submitter(scene.pool);
  CHECK(eventually([&] { return submitter.submitted() == 3; }));
  scene.pool.close();
  CHECK(eventually([&] { return submitter.was_refused(); }));
  CHECK(submitter.submitted() == 3);
}

TEST_CASE("a submit that waits for bytes ends when the pool is terminated") {
  Held scene;
  const Submitter submitter(scene.pool);
  CHECK(eventually([&] { return submitter.submitted() == 3; }));
  scene.pool.terminate();
  CHECK(eventually([&] { return submitter.was_refused(); }));
}

TEST_CASE("several threads that wait for bytes all get them, though nobody holds a future") {
  ProcessPool pool{{.workers = 2, .queue_bytes = 100'000}};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = 1; i <= 200; ++i) static_cast<void>(pool.submit(size_of, text_of(300 * i)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  pool.wait_idle();
  CHECK(pool.stats().completed == 1600);
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a submit of many bytes that waits is passed by a few of few bytes only") {
  Held scene;
  auto first = scene.pool.submit(size_of, text_of(third));
  Future<std::size_t> large;
  std::thread submitter([&] { large = scene.pool.submit(size_of, text_of(mebi)); });
  std::vector<Future<std::size_t>> small;
  CHECK(eventually([&] {
    for (int i = 0; i < 20; ++i) {
      auto future = scene.pool.try_submit(size_of, text_of(100));
      if (!future) return true;
      small.push_back(std::move(*future));
    }
    return false;
  }));
  CHECK(small.size() < 2000);  // There is room for more.
  scene.gate->open();
  submitter.join();
  CHECK(large.get() == mebi);
  for (auto& future : small) CHECK(future.get() == 100);
  CHECK(scene.pool.submit(size_of, text_of(100)).get() == 100);
}

TEST_CASE("submits wait for a place and for bytes at the same time, and all go on") {
  ProcessPool pool{{.workers = 2, .queue_capacity = 16, .queue_bytes = 20'000}};
  std::atomic<int> sum{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&pool, &sum, is_large = t % 2 == 0] {
      for (int i = 0; i < 300; ++i) {
        if (is_large) sum += static_cast<int>(pool.submit(size_of, text_of(5000)).get() / 5000);
        else static_cast<void>(pool.submit(same, 1));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(sum == 900);
}

TEST_CASE("a lazy map has no more bytes in shared memory than may wait, however far it may read ahead") {
  constexpr std::size_t limit = 4 * mebi;
  constexpr std::size_t item = mebi / 2;
  ProcessPool pool{{.workers = 2, .queue_bytes = limit}};
  const std::vector<std::string> items(40, text_of(item));
  std::size_t most = 0;
  std::vector<std::size_t> sizes;
  for (const std::size_t size : pool.with({.read_ahead = items.size()}).imap(size_of, items)) {
    sizes.push_back(size);
    pool.wait_idle();  // All that was sent has ended, and holds its arguments until it is given.
    most = std::max(most, argument_bytes(pool));
  }
  CHECK(sizes == std::vector<std::size_t>(items.size(), item));
  CHECK(most <= limit + mebi);  // Blocks are of whole pages, and the callable has one.
  CHECK(most > limit / 2);
}

TEST_CASE("a lazy map gives all its items, be each larger than what may wait") {
  ProcessPool pool{{.workers = 2, .queue_bytes = 1}};
  const std::vector<std::string> items(6, text_of(third));
  std::size_t most = 0;
  std::vector<std::size_t> given;
  for (const std::size_t size : pool.imap(size_of, items)) {
    given.push_back(size);
    most = std::max(most, argument_bytes(pool));
  }
  CHECK(given == std::vector<std::size_t>(items.size(), third));
  CHECK(most <= mebi);  // an item for each worker, and the callable
}

TEST_CASE("of the memory for arguments half may wait if nobody says how much") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .shared_memory = 64 * mebi}};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  const std::size_t all = pool.sender().core->exchange().arguments.region().size();
  std::vector<Future<std::size_t>> accepted;
  while (auto future = pool.try_submit(size_of, text_of(third))) accepted.push_back(std::move(*future));
  CHECK(accepted.size() * third <= all / 2);
  CHECK((accepted.size() + 1) * (third + 1000) > all / 2);
}
