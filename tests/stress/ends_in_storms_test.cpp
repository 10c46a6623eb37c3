// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <random>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/killer.hpp"
#include "../support/seed.hpp"
#include "../support/shared_page.hpp"
#include "../support/user_process.hpp"

using procpool::BrokenPool;
using procpool::Future;
using procpool::PoolOptions;
using procpool::ProcessPool;
using procpool::WorkerDied;

namespace {

std::string text_of(int number) {
  return std::string(static_cast<std::size_t>(number % 50 == 0 ? 200'000 : number % 50), 'x');
}

/// What became of tasks.
struct Ends {
  std::atomic<int> values{0};
  std::atomic<int> deaths{0};
  std::atomic<int> broken{0};

  void count(const std::exception_ptr& why) {
    if (why == nullptr) {
      ++values;
      return;
    }
    try {
      std::rethrow_exception(why);
    } catch (const WorkerDied&) {
      ++deaths;
    } catch (const BrokenPool&) {
      ++broken;
    }
  }
};

/// Calls `verb()`, which a broken pool ends, until it does.
template <class Verb>
void until_broken(Ends& ends, Verb verb) {
  try {
    for (;;) verb();
  } catch (const BrokenPool&) {
    ++ends.broken;
  }
}

}  // namespace

TEST_CASE("the zygote is killed in the middle of a storm: every open future says so, and every verb that waits ends") {
  const unsigned seed = support::new_seed();
  INFO("PROCPOOL_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < (support::is_full_run() ? 300 : 15); ++round) {
    std::optional<ProcessPool<>> pool(std::in_place,
                                      PoolOptions{.workers = 3, .shared_memory = std::size_t{512} << 20});
    const ::pid_t zygote = support::zygote_of(*pool);
    std::atomic<bool> goes_on{true};
    Ends ends;
    // These two have a worker each that never gives it back, so that both are open when the zygote dies.
    std::vector<Future<void>> stuck;
    for (int i = 0; i < 2; ++i) {
      stuck.push_back(pool->with({.retries = 1'000'000}).submit([] {
        for (;;) ::pause();
      }));
    }
    {
      const support::Killer killer(
          *pool, [&](int) { return goes_on.load(); }, static_cast<unsigned>(random()));
      std::vector<std::thread> users;
      users.emplace_back([&] {
        std::vector<Future<std::string>> futures;
        until_broken(ends, [&] {
          for (int i = 0; i < 100; ++i) futures.push_back(pool->submit(text_of, i));
          futures.erase(futures.begin(), futures.begin() + static_cast<std::ptrdiff_t>(futures.size() / 2));
        });
        for (auto& future : futures) ends.count(future.exception());
      });
      users.emplace_back([&] {
        until_broken(ends, [&] {
          for (const auto& outcome : pool->map_outcomes(text_of, std::views::iota(0, 200))) {
            if (outcome.exception() != nullptr) ends.count(outcome.exception());
          }
        });
      });
      users.emplace_back([&] {
        until_broken(ends, [&] {
          for (const auto& outcome : pool->imap_unordered_outcomes(text_of, std::views::iota(0, 200))) {
            if (outcome.exception() != nullptr) ends.count(outcome.exception());
          }
        });
      });
      for (auto pause = random() % 20'000; pause > 0; --pause) std::this_thread::yield();
      ::kill(zygote, SIGKILL);
      for (auto& future : stuck) CHECK_THROWS_AS(future.get(), BrokenPool);
      for (auto& user : users) user.join();
      goes_on = false;
    }
    CHECK(ends.broken >= 3);
    CHECK_THROWS_AS(pool->submit(text_of, 1), BrokenPool);
    pool.reset();
    CHECK(support::kin_that_stays() == "");
  }
}

TEST_CASE("the user's process is killed in the middle of a storm, and nothing stays") {
  const unsigned seed = support::new_seed();
  INFO("PROCPOOL_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < (support::is_full_run() ? 500 : 25); ++round) {
    const support::SharedCount steps;
    support::UserProcess user([&] {
      std::mt19937 in_user(static_cast<unsigned>(seed + static_cast<unsigned>(round)));
      for (;;) {  // Pools are made, work, change their size, and end, all while workers are killed.
        ProcessPool<> pool{PoolOptions{.workers = 3, .max_tasks_per_worker = 50}};
        const support::Killer killer(pool, 20, static_cast<unsigned>(in_user()));
        const auto tried_again = pool.with({.retries = 1000});
        while (!killer.is_over()) {
          static_cast<void>(tried_again.map(text_of, std::views::iota(0, 100)));
          pool.resize(1 + in_user() % 4);
          static_cast<void>(pool.submit([] {
            if (::fork() == 0) ::pause();  // It stays with its worker.
          }));
          ++*steps;
        }
        if (in_user() % 2 == 0) pool.terminate();
        ++*steps;
      }
      return 0;
    });
    const int step = static_cast<int>(random() % 8);
    REQUIRE(support::eventually([&] { return *steps >= step; }, std::chrono::seconds(60)));
    for (auto pause = random() % 20'000; pause > 0; --pause) std::this_thread::yield();
    CHECK(WIFSIGNALED(user.kill()));
    const std::string stays = support::kin_that_stays();
    if (!stays.empty()) FAIL("round " << round << ":\n" << stays);
  }
}
