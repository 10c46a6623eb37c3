// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/killer.hpp"

using procpool::Future;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::Killer;

namespace {

std::string letters_by_number(int number) {
  return std::string(static_cast<std::size_t>(number % 7) * 100'000 + 10, static_cast<char>('a' + number % 26));
}

int kills() { return support::is_full_run() ? 5000 : 250; }

}  // namespace

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

TEST_CASE("results that are borrowed while workers are killed stay as they were, and their memory comes back") {
  ProcessPool pool{{.workers = 2, .shared_memory = std::size_t{64} << 20}};
  std::deque<std::pair<int, Future<std::string>>> open;
  std::deque<std::pair<int, procpool::Borrowed<std::string>>> borrowed;
  const auto borrow_one = [&] {
    auto [number, future] = std::move(open.front());
    open.pop_front();
    try {
      borrowed.emplace_back(number, future.borrow());
    } catch (const WorkerDied&) {
    }
  };
  const auto give_one_back = [&] {
    const auto [number, text] = std::move(borrowed.front());
    borrowed.pop_front();
    if (*text != letters_by_number(number)) FAIL("task " << number << " has a wrong value");
  };
  {
    const Killer killer(pool, kills(), 3);
    for (int number = 0; !killer.is_over(); ++number) {
      open.emplace_back(number, pool.submit(letters_by_number, number));
      if (open.size() > 10) borrow_one();
      if (borrowed.size() > 10) give_one_back();
    }
  }
  while (!open.empty()) borrow_one();
  while (!borrowed.empty()) give_one_back();
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
