// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <atomic>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/in_threads.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::Future;
using procpool::PoolClosed;
using procpool::ProcessPool;
using support::in_threads;
using support::same;

TEST_CASE("thirty-two threads submit at once and each gets its own results") {
  ProcessPool pool{2};
  std::atomic<int> right{0};
  in_threads(32, [&](int thread) {
    std::vector<Future<int>> futures;
    for (int i = 0; i < 200; ++i) futures.push_back(pool.submit(same, 1000 * thread + i));
    for (int i = 0; i < 200; ++i) right += futures[static_cast<std::size_t>(i)].get() == 1000 * thread + i;
  });
  CHECK(right == 32 * 200);
}

TEST_CASE("threads use different verbs at once") {
  ProcessPool pool{2};
  std::atomic<int> right{0};
  in_threads(8, [&](int thread) {
    for (int round = 0; round < 10; ++round) {
      const auto items = std::views::iota(thread, thread + 50);
      switch (thread % 4) {
        case 0: right += pool.map(same, items).back() == thread + 49; break;
        case 1: right += pool.map_reduce(same, std::plus<>(), 0, items) == 50 * thread + 1225; break;
        case 2: right += pool.submit([](const std::string& text) { return text.size(); }, "text").get() == 4; break;
        default: {
          int count = 0;
          for (const int result : pool.imap_unordered(same, items)) count += result >= thread;
          right += count == 50;
        }
      }
    }
  });
  CHECK(right == 80);
}

TEST_CASE("a future may be handed to another thread") {
  ProcessPool pool{2};
  std::array<Future<int>, 100> futures;
  for (int i = 0; i < 100; ++i) futures[static_cast<std::size_t>(i)] = pool.submit(same, i);
  std::atomic<int> sum{0};
  in_threads(4, [&](int thread) {
    for (int i = thread; i < 100; i += 4) sum += futures[static_cast<std::size_t>(i)].get();
  });
  CHECK(sum == 4950);
}

TEST_CASE("several threads may wait for one future") {
  const support::SharedGate gate;
  ProcessPool pool{1};
  const support::OpensAtEnd opens(gate);
  auto future = pool.submit([gate = gate.get()] {
    gate->pass();
    return 1;
  });
  std::atomic<int> woken{0};
  std::thread opener([&] { gate->open(); });
  in_threads(8, [&](int) {
    future.wait();
    ++woken;
  });
  opener.join();
  CHECK(woken == 8);
  CHECK(future.get() == 1);
}

TEST_CASE("threads make and end pools at once") {
  std::atomic<int> right{0};
  in_threads(4, [&](int thread) {
    for (int round = 0; round < 5; ++round) {
      ProcessPool pool{1};
      right += pool.submit(same, thread).get() == thread;
    }
  });
  CHECK(right == 20);
}

TEST_CASE("a pool is closed while threads submit, and every task that was taken runs") {
  const support::SharedCount ran;
  std::atomic<int> taken{0};
  {
    ProcessPool pool{2};
    in_threads(8, [&](int thread) {
      try {
        for (int i = 0; i < 200; ++i) {
          static_cast<void>(pool.submit([ran = ran.get()] { ++*ran; }));
          ++taken;
          if (thread == 0 && i == 100) pool.close();
        }
      } catch (const PoolClosed&) {
      }
    });
  }
  CHECK(taken >= 101);
  CHECK(ran->load() == taken);
}
