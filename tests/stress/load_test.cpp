// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <numeric>
#include <optional>
#include <random>
#include <ranges>
#include <set>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/in_threads.hpp"
#include "../support/killer.hpp"
#include "../support/patience.hpp"
#include "../support/seed.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::Future;
using procpool::ProcessPool;
using support::in_threads;
using support::OpensAtEnd;
using support::same;
using support::SharedGate;

TEST_CASE("a pool of far more workers than CPUs starts, works, makes up for deaths and ends") {
  for (const int workers : {64, 256}) {
    const support::SharedGate gate;
    ProcessPool pool{workers};
    const OpensAtEnd opens(gate);
    std::vector<int> numbers(static_cast<std::size_t>(20 * workers));
    std::iota(numbers.begin(), numbers.end(), 0);
    CHECK(pool.map(same, numbers) == numbers);
    const ::pid_t zygote = support::zygote_of(pool);

    // All at once: each worker holds one of the tasks, and as many wait behind them.
    std::vector<Future<int>> futures;
    for (int i = 0; i < 2 * workers; ++i) {
      futures.push_back(pool.with({.retries = 1000})
                            .submit(
                                [gate = gate.get()](int x) {
                                  gate->pass();
                                  return x;
                                },
                                i));
    }
    REQUIRE(gate->is_reached_by(workers));
    CHECK(pool.stats().running == static_cast<std::uint64_t>(workers));
    CHECK(pool.stats().queued == static_cast<std::uint64_t>(workers));

    std::set<::pid_t> killed;
    const std::vector<::pid_t> pids = support::pids_of(pool);
    for (std::size_t i = 0; i < pids.size(); i += 4) killed.insert(pids[i]);
    for (const ::pid_t pid : killed) support::signal_child_of(zygote, pid, SIGKILL);
    REQUIRE(gate->is_reached_by(workers + static_cast<int>(killed.size())));  // others have come in their place
    gate->open();
    for (int i = 0; i < 2 * workers; ++i) CHECK(futures[static_cast<std::size_t>(i)].get() == i);
    CHECK(pool.stats().worker_deaths == killed.size());

    const auto later = pool.run_on_each_worker([] { return ::getpid(); });
    CHECK(std::set<::pid_t>(later.begin(), later.end()).size() == static_cast<std::size_t>(workers));
    for (const ::pid_t pid : later) CHECK_FALSE(killed.contains(pid));
    CHECK(support::what_is_left(pool) == "");
  }
}

TEST_CASE("a pool of far more workers than CPUs can be ended while it works, is being made, and with deaths") {
  for (const int workers : {64, 256}) {
    for (int round = 0; round < (support::is_full_run() ? 30 : 3); ++round) {
      ProcessPool pool{workers};
      std::vector<Future<int>> futures;
      for (int i = 0; i < 4 * workers; ++i) futures.push_back(pool.submit(same, i));
      if (round % 3 == 1) pool.terminate();
      if (round % 3 == 2) {
        for (const auto& worker : pool.workers()) {
          if (worker.index % 4 == 0 && worker.pid != 0) ::kill(worker.pid, SIGKILL);
        }
      }
      int ended = 0;
      for (auto& future : futures) {
        const std::exception_ptr why = future.exception();
        if (why == nullptr) ended += future.get() == ended;
        else ++ended;
      }
      CHECK(ended == 4 * workers);
    }
  }
}

TEST_CASE("thirty-two threads send at once while workers are killed, and each gets its own results") {
  const unsigned seed = support::new_seed();
  INFO("PROCPOOL_TEST_SEED=" << seed);
  const int tasks = support::is_full_run() ? 20'000 : 1000;
  ProcessPool<> pool{procpool::PoolOptions{.workers = 4, .queue_capacity = 256}};
  std::atomic<bool> goes_on{true};
  std::atomic<int> right{0};
  {
    const support::Killer killer(
        pool, [&](int) { return goes_on.load(); }, seed);
    in_threads(32, [&](int thread) {
      const auto terms = pool.with({.retries = 1000});
      std::mt19937 random(seed + static_cast<unsigned>(thread));
      int next = 1'000'000 * thread;
      const int end = next + tasks;
      while (next < end) {
        const int count = std::min(end - next, static_cast<int>(1 + random() % 100));
        const auto items = std::views::iota(next, next + count);
        switch (random() % 4) {
          case 0: {
            const std::vector<int> results = terms.map(same, items);
            for (int i = 0; i < count; ++i) right += results[static_cast<std::size_t>(i)] == next + i;
            break;
          }
          case 1: {
            std::set<int> results;
            for (const int result : terms.imap_unordered(same, items)) results.insert(result);
            right += std::equal(results.begin(), results.end(), items.begin(), items.end()) ? count : 0;
            break;
          }
          default: {
            std::vector<Future<int>> futures;
            for (const int item : items) futures.push_back(terms.submit(same, item));
            for (int i = 0; i < count; ++i) right += futures[static_cast<std::size_t>(i)].get() == next + i;
          }
        }
        next += count;
      }
    });
    goes_on = false;
  }
  CHECK(right == 32 * tasks);
  CHECK(pool.stats().worker_deaths > 0);
  pool.wait_idle();
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a million tasks wait behind workers that are busy, and then all have their values") {
  constexpr int count = 1'000'000;
  const SharedGate gate;
  ProcessPool pool{{.workers = 2, .queue_capacity = count}};
  const OpensAtEnd opens(gate);
  std::vector<Future<void>> held;
  for (int i = 0; i < 2; ++i) held.push_back(pool.submit([gate = gate.get()] { gate->pass(); }));
  REQUIRE(gate->is_reached_by(2));
  std::vector<Future<int>> futures;
  futures.reserve(count);
  for (int i = 0; i < count; ++i) {
    std::optional<Future<int>> future = pool.try_submit(same, i);
    if (!future) break;
    futures.push_back(std::move(*future));
  }
  REQUIRE(futures.size() == count);
  CHECK_FALSE(pool.try_submit(same, 0).has_value());
  CHECK(pool.stats().queued == count);
  CHECK(pool.stats().running == 2);
  gate->open();
  int right = 0;
  for (int i = 0; i < count; ++i) right += futures[static_cast<std::size_t>(i)].get() == i;
  CHECK(right == count);
  futures.clear();
  held.clear();
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a million tasks whose futures are dropped never fill more than the queue") {
  constexpr int count = 1'000'000;
  constexpr int capacity = 1000;
  const support::Shared<std::atomic<std::uint64_t>> sum;
  ProcessPool pool{{.workers = 2, .queue_capacity = capacity, .shared_memory = std::size_t{32} << 20}};
  std::uint64_t most = 0;
  for (int i = 0; i < count; ++i) {
    static_cast<void>(pool.submit([sum = sum.get()](int x) { *sum += static_cast<std::uint64_t>(x); }, i));
    if (i % 10'000 == 0) most = std::max(most, pool.stats().queued);
  }
  pool.wait_idle();
  CHECK(*sum == std::uint64_t{count} * (count - 1) / 2);
  CHECK(most <= capacity);
  CHECK(pool.stats().submitted == count);
  CHECK(pool.stats().dropped_failures == 0);
  CHECK(support::what_is_left(pool) == "");
}
