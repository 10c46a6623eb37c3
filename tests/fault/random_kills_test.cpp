// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"

using procpool::Future;
using procpool::ProcessPool;
using procpool::WorkerDied;

namespace {

constexpr std::size_t most_tasks = 2'000'000;
struct Runs {
  std::array<std::atomic<unsigned char>, most_tasks> of{};
};

/// Kills workers of a pool from outside, one after another, until it has done so a number of times.
class Killer {
 public:
  Killer(const ProcessPool<>& pool, int kills, unsigned seed)
      : zygote_(support::zygote_of(pool)), thread_([this, &pool, kills, seed] {
          std::mt19937 random(seed);
          for (int kill = 0; kill < kills; ++kill) {
            const auto workers = pool.workers();
            support::signal_child_of(zygote_, workers[random() % workers.size()].pid, SIGKILL);
            // sleeps: so that the next death comes at another moment. On a busy machine a yield could last far longer.
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 1000));
          }
          is_over_ = true;
        }) {}
  ~Killer() { thread_.join(); }

  [[nodiscard]] bool is_over() const noexcept { return is_over_; }

 private:
  ::pid_t zygote_;
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

int kills() { return support::is_full_run() ? 5000 : 250; }

}  // namespace

TEST_CASE("a stream of tasks goes on while its workers are killed: none is lost, none runs twice") {
  const support::Shared<Runs> runs;
  ProcessPool pool{3};
  std::size_t submitted = 0;
  std::size_t died = 0;
  std::vector<bool> has_died(most_tasks);
  std::deque<std::pair<std::size_t, Future<std::size_t>>> open;
  const auto take_one = [&] {
    auto [number, future] = std::move(open.front());
    open.pop_front();
    try {
      if (future.get() != number + 1) FAIL("task " << number << " has a wrong value");
    } catch (const WorkerDied& death) {
      if (death.signal() != SIGKILL) FAIL(death.what());
      has_died[number] = true;
      ++died;
    }
  };
  {
    const Killer killer(pool, kills(), 1);
    while ((!killer.is_over() || submitted <= 1000) && submitted < most_tasks) {
      const auto run = [runs = runs.get()](std::size_t number) {
        ++runs->of[number];
        return number + 1;
      };
      open.emplace_back(submitted, pool.submit(run, submitted));
      ++submitted;
      if (open.size() > 200) take_one();
    }
  }
  while (!open.empty()) take_one();
  CHECK(submitted > 1000);
  for (std::size_t number = 0; number < submitted; ++number) {
    const int count = runs->of[number];
    if (count != 1 && !(count == 0 && has_died[number])) FAIL("task " << number << " ran " << count << " times");
  }
  pool.wait_idle();
  CHECK(pool.stats().worker_deaths <= static_cast<std::size_t>(kills()));
  CHECK(died <= pool.stats().worker_deaths);
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("large results survive while workers are killed, and their memory comes back") {
  ProcessPool pool{{.workers = 2, .shared_memory = std::size_t{64} << 20}};
  std::deque<std::pair<int, Future<std::string>>> open;
  const auto take_one = [&] {
    auto [number, future] = std::move(open.front());
    open.pop_front();
    try {
      const std::string text = future.get();
      const auto letter = static_cast<char>('a' + number % 26);
      if (text.size() != static_cast<std::size_t>(number % 7) * 100'000 + 10 ||
          !std::all_of(text.begin(), text.end(), [&](char c) { return c == letter; })) {
        FAIL("task " << number << " has a wrong value");
      }
    } catch (const WorkerDied&) {
    }
  };
  {
    const Killer killer(pool, kills(), 2);
    for (int number = 0; !killer.is_over(); ++number) {
      const auto run = [](int n) {
        return std::string(static_cast<std::size_t>(n % 7) * 100'000 + 10, static_cast<char>('a' + n % 26));
      };
      open.emplace_back(number, pool.submit(run, number));
      if (open.size() > 20) take_one();
    }
  }
  while (!open.empty()) take_one();
  pool.wait_idle();
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("maps go on while workers are killed, and each finishes every item once or says who died of it") {
  const support::Shared<Runs> runs;
  ProcessPool pool{3};
  std::vector<int> items(500);
  std::iota(items.begin(), items.end(), 0);
  int rounds = 0;
  {
    const Killer killer(pool, kills(), 3);
    for (; !killer.is_over(); ++rounds) {
      for (auto& count : runs->of) {
        if (count != 0) count = 0;
        if (&count == &runs->of[items.size()]) break;
      }
      const auto run = [runs = runs.get()](int item) {
        ++runs->of[static_cast<std::size_t>(item)];
        return std::string(static_cast<std::size_t>(item), 'x');
      };
      const std::size_t chunk_size = static_cast<std::size_t>(rounds % 4) * 5;
      const auto outcomes = pool.with({.chunk_size = chunk_size}).map_outcomes(run, items);
      for (std::size_t i = 0; i < items.size(); ++i) {
        const int count = runs->of[i];
        if (outcomes[i].has_value() ? count != 1 || outcomes[i]->size() != i : count > 1) {
          FAIL("round " << rounds << ": item " << i << " ran " << count << " times");
        }
      }
    }
  }
  CHECK(rounds > 0);
  pool.wait_idle();
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("threads that submit, wait, cancel and drop while workers are killed end, and so does the pool") {
  ProcessPool pool{3};
  {
    const Killer killer(pool, kills(), 4);
    std::vector<std::thread> users;
    for (unsigned user = 0; user < 3; ++user) {
      users.emplace_back([&, user] {
        std::mt19937 random(user);
        std::vector<Future<int>> open;
        while (!killer.is_over()) {
          open.push_back(pool.submit([](int x) { return x; }, 5));
          switch (random() % 6) {
            case 0: open.back().cancel(); break;
            case 1: open.clear(); break;
            case 2: try { open.back().get();
              } catch (const procpool::Error&) {
              }
              open.pop_back();
              break;
            case 3: static_cast<void>(pool.wait_idle_for(std::chrono::microseconds(100))); break;
            default: break;
          }
          if (open.size() > 100) open.erase(open.begin(), open.begin() + 50);
        }
      });
    }
    for (auto& user : users) user.join();
  }
  pool.wait_idle();
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a pool can be terminated, closed and destroyed while its workers are killed") {
  for (int round = 0; round < (support::is_full_run() ? 300 : 20); ++round) {
    ProcessPool pool{2};
    std::vector<Future<int>> open;
    const Killer killer(pool, 10, static_cast<unsigned>(round));
    for (int i = 0; i < 300; ++i) open.push_back(pool.submit([](int x) { return x; }, i));
    if (round % 3 == 0) pool.terminate();
    if (round % 3 == 1) pool.close();
    int ended = 0;
    for (auto& future : open) {
      try {
        future.get();
      } catch (const WorkerDied&) {
      } catch (const procpool::PoolClosed&) {
      }
      ++ended;
    }
    CHECK(ended == 300);
    if (round % 3 == 1) pool.join();
  }
}

TEST_CASE("workers that kill each other at random do not stop the pool") {
  ProcessPool pool{4};
  const auto murder = [](unsigned seed) {
    std::mt19937 random(seed);
    const ::pid_t victim = procpool::this_worker::pid() + static_cast<int>(random() % 5) - 2;
    support::signal_child_of(::getppid(), victim, SIGKILL);  // Only a sibling.
    return 1;
  };
  int ended = 0;
  int died = 0;
  for (unsigned round = 0; round < (support::is_full_run() ? 200U : 10U); ++round) {
    std::vector<Future<int>> futures;
    for (unsigned i = 0; i < 20; ++i) futures.push_back(pool.submit(murder, round * 20 + i));
    for (auto& future : futures) {
      try {
        ended += future.get();
      } catch (const WorkerDied& death) {
        CHECK(death.signal() == SIGKILL);
        ++died;
      }
    }
  }
  CHECK(died > 0);
  CHECK(ended > 0);
  CHECK(support::what_is_left(pool) == "");
}
