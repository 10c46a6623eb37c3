// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"
#include "../support/signal_storm.hpp"
#include "../support/tasks.hpp"
#include "../support/user_process.hpp"

using procpool::ProcessPool;
using procpool::WorkerDied;
using support::die;
using support::mebi;
using support::size_of;
using support::text_of;
using support::twice;
using support::UserProcess;
using support::Way;

namespace {

struct Counts {
  std::atomic<int> here{0};        // signals handled in the user's process
  std::atomic<int> in_workers{0};  // and in its workers
};

/// All that a pool does while every system call may be interrupted. 0: as it should be.
int use_a_pool(Counts* counts) {
  const auto wait_for_signals = [counts] {  // while the user's process waits for this one
    for (const int before = counts->here; counts->here < before + 20;) std::this_thread::yield();
  };
  ProcessPool pool{{.workers = 2, .preload = wait_for_signals},
                   [counts] { support::interrupt_for_ever(&counts->in_workers); }};
  std::vector<procpool::Future<int>> futures;
  for (int i = 0; i < 200; ++i) futures.push_back(pool.submit(twice, i));
  for (int i = 0; i < 200; ++i) {
    if (futures[static_cast<std::size_t>(i)].get() != 2 * i) return 1;
  }
  std::vector<int> items(2000);
  std::iota(items.begin(), items.end(), 0);
  const std::vector<int> doubled = pool.map(twice, items);
  for (const int item : items) {
    if (doubled[static_cast<std::size_t>(item)] != 2 * item) return 2;
  }
  int next = 0;
  for (const int value : pool.imap(twice, items)) {
    if (value != 2 * next++) return 3;
  }
  if (pool.submit(size_of, std::string(96 * mebi, 'x')).get() != 96 * mebi) return 4;
  if (pool.submit(text_of, 96 * mebi).get() != std::string(96 * mebi, 'x')) return 5;
  try {
    pool.submit([] { die(Way::kill); }).get();
    return 6;
  } catch (const WorkerDied&) {
  }
  return pool.submit(twice, 4).get() == 8 ? 0 : 7;
}

}  // namespace

TEST_CASE("a pool is made, works and ends while signals interrupt every system call of its processes") {
  const support::Shared<Counts> counts;
  UserProcess user([counts = counts.get()] {
    const support::SignalStorm storm(&counts->here);
    for (int round = 0; round < (support::is_full_run() ? 50 : 1) || counts->here < 1000; ++round) {
      if (const int wrong = use_a_pool(counts); wrong != 0) return wrong;
    }
    return 0;
  });
  CHECK(user.wait() == 0);
  CHECK(counts->here >= 1000);
  CHECK(counts->in_workers >= 1000);
}

TEST_CASE("a timed wait lasts its time though signals interrupt it") {
  const support::SharedCount handled;
  const support::SharedGate gate;
  UserProcess user([handled = handled.get(), gate = gate.get()] {
    ProcessPool pool{1};
    auto future = pool.submit([gate] { gate->pass(); });
    if (!gate->is_reached_by(1)) return 1;
    {
      const support::SignalStorm storm(handled);
      const auto start = std::chrono::steady_clock::now();
      constexpr std::chrono::milliseconds time{100};
      if (future.wait_for(time) || pool.wait_idle_for(time)) return 2;
      if (std::chrono::steady_clock::now() - start < 2 * time) return 3;
    }
    gate->open();
    future.get();
    return *handled > 0 ? 0 : 4;
  });
  CHECK(user.wait() == 0);
}
