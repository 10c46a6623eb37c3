// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/future.hpp>

#include "../../support/catch.hpp"
#include "../../support/patience.hpp"
#include "../../support/threads_as_workers.hpp"

using namespace std::chrono_literals;
using procpool::Future;
using procpool::SharedFuture;
using procpool::UsageError;
using support::LocalValue;
using support::Workbench;
using support::WorkerTask;

namespace {

const std::runtime_error broken("broken");

/// Tasks, and their futures.
struct Work {
  explicit Work(Workbench& bench, int count) {
    for (int i = 0; i < count; ++i) futures.push_back(tasks.emplace_back(bench).future());
  }
  void end(std::size_t i) {
    tasks[i].start();
    tasks[i].finish(static_cast<int>(i));
  }
  void lose(std::size_t i) {
    tasks[i].start();
    tasks[i].lose(broken);
  }

  std::deque<WorkerTask<int>> tasks;
  std::vector<Future<int>> futures;
};

/// The values, in the order in which as_completed() yields them.
template <class R>
std::vector<int> order_of(R&& futures) {
  std::vector<int> order;
  for (auto& future : procpool::as_completed(std::forward<R>(futures))) order.push_back(future.get());
  return order;
}

}  // namespace

TEST_CASE("wait_all returns when the last has ended, whatever became of them") {
  Workbench bench;
  Work work(bench, 3);
  WorkerTask<void> other(bench);
  const Future<void> nothing = other.future();
  std::thread worker([&] {
    work.end(2);
    work.lose(0);
    work.end(1);
    other.start();
    other.finish();
  });
  procpool::wait_all(work.futures);
  procpool::wait_all(work.futures[0], nothing, work.futures[1]);
  procpool::wait_all();
  worker.join();
  for (auto& future : work.futures) CHECK(future.is_ready());
  CHECK(nothing.is_ready());
  CHECK_THROWS_AS(work.futures[0].get(), std::runtime_error);
}

TEST_CASE("wait_all gives up at the deadline, and what has ended by then has ended") {
  Workbench bench;
  Work work(bench, 2);
  work.end(0);
  CHECK_FALSE(procpool::wait_all_for(work.futures, 1ms));
  CHECK_FALSE(procpool::wait_all_until(work.futures, std::chrono::system_clock::now() + 1ms));
  CHECK_FALSE(procpool::wait_all_for(work.futures[0], work.futures[1], 0s));
  CHECK_FALSE(procpool::wait_all_until(work.futures[1], std::chrono::steady_clock::now()));
  CHECK(procpool::wait_all_for(work.futures[0], 0s));
  work.end(1);
  CHECK(procpool::wait_all_for(work.futures, 0s));
  CHECK(procpool::wait_all_until(work.futures, std::chrono::steady_clock::now()));
  CHECK(procpool::wait_all_until(work.futures[0], work.futures[1], std::chrono::system_clock::now()));
  std::vector<Future<int>> none;
  CHECK(procpool::wait_all_for(none, 0s));
}

TEST_CASE("wait_any says which has ended, the first in the range if several have") {
  Workbench bench;
  Work work(bench, 4);
  CHECK_FALSE(procpool::wait_any_for(work.futures, 1ms).has_value());
  CHECK_FALSE(procpool::wait_any_until(work.futures, std::chrono::steady_clock::now()).has_value());
  std::thread worker([&] { work.end(2); });
  CHECK(procpool::wait_any(work.futures) == 2);
  worker.join();
  work.lose(1);
  CHECK(procpool::wait_any(work.futures) == 1);
  CHECK(procpool::wait_any_for(work.futures, 0s) == 1U);
  CHECK(procpool::wait_any_until(work.futures, std::chrono::system_clock::now()) == 1U);
  work.end(0);
  work.end(3);
  CHECK(procpool::wait_any(work.futures) == 0);
}

TEST_CASE("wait_any of nothing is refused, as is a future without a result") {
  std::vector<Future<int>> none;
  CHECK_THROWS_AS(procpool::wait_any(none), UsageError);
  CHECK_THROWS_AS(procpool::wait_any_for(none, 1s), UsageError);
  CHECK_FALSE(procpool::wait_first_exception(none).has_value());
  std::vector<Future<int>> invalid(2);
  CHECK_THROWS_AS(procpool::wait_all(invalid), UsageError);
  CHECK_THROWS_AS(procpool::wait_any(invalid), UsageError);
  CHECK_THROWS_AS(procpool::wait_first_exception(invalid), UsageError);
  CHECK_THROWS_AS(procpool::as_completed(invalid), UsageError);
}

TEST_CASE("any range of futures will do") {
  Workbench bench;
  Work work(bench, 3);
  std::map<std::string, Future<int>> named;
  named.emplace("a", std::move(work.futures[0]));
  named.emplace("b", std::move(work.futures[1]));
  work.end(1);
  const auto values = named | std::views::values;
  CHECK(procpool::wait_any(values) == 1);

  Future<int> array[] = {std::move(work.futures[2])};
  work.end(2);
  procpool::wait_all(array);
  const std::list<SharedFuture<int>> shared = {array[0].share()};
  CHECK(procpool::wait_any(shared) == 0);
  work.end(0);
  CHECK(order_of(named | std::views::values) == std::vector{0, 1});
}

TEST_CASE("wait_first_exception returns at the first failure, and passes over what was cancelled") {
  Workbench bench;
  Work work(bench, 4);
  CHECK(work.futures[3].cancel());
  work.end(0);
  std::thread worker([&] { work.lose(2); });
  CHECK(procpool::wait_first_exception(work.futures) == 2U);
  worker.join();
  CHECK_FALSE(work.futures[1].is_ready());
  work.end(1);
  CHECK(procpool::wait_first_exception(work.futures) == 2U);
  CHECK_THROWS(work.futures[2].get());
  work.futures.erase(work.futures.begin() + 2);
  CHECK_FALSE(procpool::wait_first_exception(work.futures).has_value());
}

TEST_CASE("what is there twice is waited for as if it were there once") {
  Workbench bench;
  WorkerTask<int> task(bench);
  WorkerTask<int> later(bench);
  const SharedFuture<int> shared = task.future().share();
  const std::vector<SharedFuture<int>> copies = {later.future().share(), shared, shared};
  CHECK_FALSE(procpool::wait_any_for(copies, 0s).has_value());
  task.start();
  task.lose(broken);
  CHECK(procpool::wait_any(copies) == 1);
  CHECK(procpool::wait_first_exception(copies) == 1U);
  CHECK_FALSE(procpool::wait_all_for(copies, 0s));
  later.start();
  later.finish(1);
  procpool::wait_all(copies);
  procpool::wait_all(shared, shared);
}

TEST_CASE("as_completed yields futures as they end, those that have ended before first") {
  Workbench bench;
  Work work(bench, 4);
  work.end(3);
  std::vector<int> order;
  std::size_t next[] = {1, 0, 2};
  std::size_t ended = 0;
  for (Future<int>& future : procpool::as_completed(work.futures)) {
    CHECK(future.is_ready());
    order.push_back(future.get());
    if (ended < 3) work.end(next[ended++]);
  }
  CHECK(order == std::vector{3, 1, 0, 2});
}

TEST_CASE("as_completed misses nothing when more tasks end at once than are remembered one by one") {
  Workbench bench;
  Work work(bench, 3000);
  work.end(0);
  std::size_t yielded = 0;
  for (auto& future : procpool::as_completed(work.futures)) {
    if (yielded++ == 0) {
      for (std::size_t i = 1; i < work.tasks.size(); ++i) work.end(i);
    }
    future.get();
  }
  CHECK(yielded == 3000);
}

TEST_CASE("as_completed of nothing is over at once") {
  std::vector<Future<int>> none;
  CHECK(order_of(none).empty());
}

TEST_CASE("as_completed keeps a range that was given to it") {
  Workbench bench;
  Work work(bench, 2);
  work.end(1);
  work.end(0);
  CHECK(order_of(std::move(work.futures)) == std::vector{0, 1});
}

TEST_CASE("as_completed yields once what is there twice") {
  Workbench bench;
  WorkerTask<int> task(bench);
  const SharedFuture<int> shared = task.future().share();
  std::vector<SharedFuture<int>> copies(3, shared);
  WorkerTask<int> later(bench);
  copies.push_back(later.future().share());
  task.start();
  task.finish(6);
  later.start();
  later.finish(7);
  CHECK(order_of(copies) == std::vector{6, 7});
}

TEST_CASE("as_completed throws at its deadline, and says how many were missing") {
  Workbench bench;
  Work work(bench, 3);
  work.end(1);
  std::vector<int> order;
  try {
    for (auto& future : procpool::as_completed(work.futures, 5ms)) order.push_back(future.get());
    FAIL("nothing was thrown");
  } catch (const procpool::FuturesUnfinished& late) {
    CHECK_THAT(late.what(), Catch::Matchers::ContainsSubstring("2 of 3 futures"));
    CHECK(late.unfinished() == 2);
    CHECK(late.total() == 3);
  }
  CHECK(order == std::vector{1});
  work.end(0);
  work.end(2);
  work.futures.erase(work.futures.begin() + 1);
  for (auto& future : procpool::as_completed(work.futures, std::chrono::steady_clock::now() + 1h)) {
    order.push_back(future.get());
  }
  CHECK(order == std::vector{1, 0, 2});
}

TEST_CASE("as_completed without any time yields what has ended before it throws") {
  Workbench bench;
  Work work(bench, 3);
  work.end(0);
  work.end(2);
  std::set<int> values;
  const auto loop = [&] {
    for (auto& future : procpool::as_completed(work.futures, 0s)) values.insert(future.get());
  };
  CHECK_THROWS_AS(loop(), procpool::FuturesUnfinished);
  CHECK(values == std::set{0, 2});
}

TEST_CASE("as_completed keeps nothing of a future that it has yielded") {
  Workbench bench;
  std::deque<LocalValue<std::shared_ptr<int>>> tasks;
  std::vector<SharedFuture<std::shared_ptr<int>>> futures;
  for (int i = 0; i < 3; ++i) {
    futures.push_back(tasks.emplace_back(bench).future().share());
    tasks.back().set(std::make_shared<int>(i));
  }
  std::size_t yielded = 0;
  for (auto& future : procpool::as_completed(futures)) {
    const std::weak_ptr<int> witness = future.get();
    future = {};
    CHECK(witness.expired());
    ++yielded;
  }
  CHECK(yielded == 3);
}

TEST_CASE("a loop that was left early may be begun again") {
  Workbench bench;
  Work work(bench, 3);
  work.end(2);
  for (auto& future : procpool::as_completed(work.futures)) {
    CHECK(future.get() == 2);
    break;
  }
  work.futures.pop_back();
  work.end(0);
  work.end(1);
  CHECK(order_of(work.futures) == std::vector{0, 1});
}

TEST_CASE("futures of several pools are waited for together") {
  Workbench first;
  Workbench second;
  Work a(first, 2);
  Work b(second, 2);
  std::vector<Future<int>> all;
  for (auto* work : {&a, &b}) {
    for (auto& future : work->futures) all.push_back(std::move(future));
  }
  CHECK_FALSE(procpool::wait_any_for(all, 1ms).has_value());
  std::thread worker([&] { b.end(1); });
  CHECK(procpool::wait_any(all) == 3);
  worker.join();
  b.lose(0);
  CHECK(procpool::wait_first_exception(all) == 2U);
  CHECK_THROWS(all[2].get());
  all.erase(all.begin() + 2);
  std::thread others([&] {
    a.end(1);
    a.end(0);
  });
  std::multiset<int> values;
  for (auto& future : procpool::as_completed(all)) values.insert(future.get());
  others.join();
  CHECK(values == std::multiset{0, 1, 1});
}

TEST_CASE("waits for futures of several pools leave nothing behind, however many end in vain") {
  Workbench first;
  Workbench second;
  Work a(first, 1);
  Work b(second, 2);
  std::atomic<int> told{0};
  b.futures[1].on_ready([&](const procpool::Outcome<int>&) { ++told; });
  std::vector<Future<int>> all;
  all.push_back(std::move(a.futures[0]));
  all.push_back(std::move(b.futures[0]));
  all.push_back(std::move(b.futures[1]));
  const auto loop = [&] {
    for (auto& future : procpool::as_completed(all, 0s)) FAIL(future.get());
  };
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(procpool::wait_any_for(all, 0s).has_value());
    CHECK_THROWS_AS(loop(), procpool::FuturesUnfinished);
  }
  CHECK(first.exchange().slots.was_used() == 3);  // One's own, and two that stood for the others.
  CHECK(second.exchange().slots.was_used() == 2);
  const procpool::detail::TaskNote* note = second.exchange().slots.note(0);
  REQUIRE(note != nullptr);
  CHECK(note->continuations.empty());
  CHECK(note->more_watchers.empty());
  b.end(0);
  CHECK(procpool::wait_any(all) == 1);
  b.end(1);
  CHECK(support::eventually([&] { return told == 1; }));  // What others wait for at the same task stays.
  a.end(0);
  std::vector<int> values;
  for (auto& future : procpool::as_completed(all)) values.push_back(future.get());
  CHECK(std::multiset<int>(values.begin(), values.end()) == std::multiset{0, 0, 1});
  CHECK(first.exchange().dropped_failures() == 0);
}

TEST_CASE("threads that look at futures of several pools again and again all see each end") {
  for (int round = 0; round < (support::is_full_run() ? 500 : 20); ++round) {
    Workbench first;
    Workbench second;
    WorkerTask<int> here(first);
    WorkerTask<int> there(second);
    const std::vector<SharedFuture<int>> all = {here.future().share(), there.future().share()};
    std::vector<std::thread> lookers;
    std::atomic<int> looks{0};
    std::atomic<int> sum{0};
    for (int i = 0; i < 3; ++i) {
      lookers.emplace_back([&, mine = all] {
        while (!procpool::wait_any_for(mine, 0s)) ++looks;
        sum += mine[1].get();
      });
    }
    CHECK(support::eventually([&] { return looks > 10; }));
    there.start();
    there.finish(5);
    for (std::thread& looker : lookers) looker.join();
    CHECK(sum == 15);
    CHECK(procpool::wait_any(all) == 1);
    here.start();
    here.finish(4);
  }
}

TEST_CASE("threads that wait for many futures drain for each other") {
  constexpr int waiters = 3;
  constexpr int each = 400;
  Workbench bench(support::is_full_run() ? 20us : 0us);
  for (int round = 0; round < (support::is_full_run() ? 200 : 5); ++round) {
    std::deque<WorkerTask<int>> tasks;
    std::vector<Future<int>> futures[waiters];
    std::atomic<int> told{0};
    for (int i = 0; i < waiters * each; ++i) futures[i % waiters].push_back(tasks.emplace_back(bench).future());
    std::vector<std::size_t> order(tasks.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(round)));
    std::thread worker([&] {
      for (const std::size_t i : order) {
        tasks[i].start();
        tasks[i].finish(static_cast<int>(i));
      }
    });
    std::vector<std::thread> readers;
    std::atomic<long> sum{0};
    for (auto& mine : futures) {
      readers.emplace_back([&] {
        for (std::size_t i = 0; i < mine.size(); i += 10) {
          mine[i].on_ready([&](const procpool::Outcome<int>&) { ++told; });
        }
        for (auto& future : procpool::as_completed(mine)) sum += future.get();
      });
    }
    worker.join();
    for (std::thread& reader : readers) reader.join();
    const long count = static_cast<long>(tasks.size());
    CHECK(sum == count * (count - 1) / 2);
    CHECK(support::eventually([&] { return told == waiters * each / 10; }, 20s));
  }
}
