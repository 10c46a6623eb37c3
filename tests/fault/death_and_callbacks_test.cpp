// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/patience.hpp"
#include "../support/tasks.hpp"

using procpool::Future;
using procpool::Outcome;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::die;
using support::eventually;
using support::twice;
using support::Way;

namespace {

int end_worker(int) { die(Way::kill); }

/// Dies when it arrives in a worker.
struct DeadlyArgument {
  template <class Archive>
  void save(Archive& archive) const {
    archive(0);
  }
  template <class Archive>
  void load(Archive& archive) {
    int zero = 0;
    archive(zero);
    if (support::is_in_worker()) die(Way::abort);
  }
};

/// Cannot be sent.
struct Unsendable {
  template <class Archive>
  void save(Archive&) const {
    throw std::range_error("not to be sent");
  }
  template <class Archive>
  void load(Archive&) {}
};

bool is_death(const Outcome<int>& outcome) {
  try {
    outcome.value();
  } catch (const WorkerDied&) {
    return true;
  } catch (...) {
  }
  return false;
}

}  // namespace

TEST_CASE("a callback that is told of a death may submit what dies again, and the destructor waits for all of it") {
  std::atomic<int> deaths{0};
  std::atomic<int> value{0};
  {
    ProcessPool pool{2};
    std::function<void(const Outcome<int>&)> go_on = [&](const Outcome<int>& outcome) {
      if (!is_death(outcome)) value = outcome.value();
      else if (++deaths < 20) pool.submit(end_worker, 0).on_ready(go_on);
      else pool.submit(twice, 21).on_ready(go_on);
    };
    pool.submit(end_worker, 0).on_ready(go_on);
    CHECK(eventually([&] { return value != 0; }, std::chrono::seconds(20)));
  }
  CHECK(deaths == 20);
  CHECK(value == 42);
}

TEST_CASE("callbacks that submit what dies when it arrives leave all other tasks alone") {
  std::atomic<int> deaths{0};
  std::atomic<int> values{0};
  ProcessPool pool{2};
  std::vector<Future<int>> futures;
  for (int i = 0; i < 40; ++i) {
    futures.push_back(pool.submit(twice, i));
    futures.back().on_ready([&](const Outcome<int>& outcome) {
      values += outcome.has_value() ? 1 : 0;
      pool.submit([](const DeadlyArgument&) { return 1; }, DeadlyArgument()).on_ready([&](const Outcome<int>& next) {
        deaths += is_death(next) ? 1 : 0;
      });
    });
  }
  for (int i = 0; i < 40; ++i) CHECK(futures[static_cast<std::size_t>(i)].get() == 2 * i);
  CHECK(eventually([&] { return deaths == 40; }, std::chrono::seconds(60)));
  CHECK(values == 40);
}

TEST_CASE("a callback whose own submit fails is told so, and the pool goes on") {
  std::atomic<int> refused{0};
  ProcessPool pool{1};
  pool.submit(end_worker, 0).on_ready([&](const Outcome<int>&) {
    try {
      static_cast<void>(pool.submit([](const Unsendable&) { return 1; }, Unsendable()));
    } catch (const std::range_error&) {
      ++refused;
      throw;  // Nobody minds what a callback throws.
    }
  });
  CHECK(eventually([&] { return refused == 1; }, std::chrono::seconds(20)));
  CHECK(pool.submit(twice, 4).get() == 8);
}

TEST_CASE("a callback and a continuation may wait for a task that dies") {
  ProcessPool pool{1};
  std::atomic<int> deaths{0};
  const auto wait_for_a_death = [&] {
    try {
      static_cast<void>(pool.submit(end_worker, 0).get());
    } catch (const WorkerDied&) {
      ++deaths;
    }
    return deaths.load();
  };
  pool.submit(twice, 1).on_ready([&](const Outcome<int>&) { wait_for_a_death(); });
  CHECK(eventually([&] { return deaths == 1; }, std::chrono::seconds(20)));
  CHECK(pool.submit(twice, 1).then([&](int) { return wait_for_a_death(); }).get() == 2);
}
