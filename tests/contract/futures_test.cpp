// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/coroutine.hpp"
#include "../support/in_child.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"

using namespace std::chrono_literals;
using procpool::Cancelled;
using procpool::Future;
using procpool::Outcome;
using procpool::PoolClosed;
using procpool::ProcessPool;
using procpool::SharedFuture;
using procpool::UsageError;
using procpool::WorkerDied;
using support::eventually;
using support::Gate;
using support::OpensAtEnd;
using support::SharedCount;
using support::SharedGate;

namespace {

using Flag = std::atomic<int>;

int negate(int n) { return -n; }
std::string repeat(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}
int divide(int a, int b) {
  if (b == 0) throw std::domain_error("division by zero");
  return a / b;
}
int die(int signal) {
  ::raise(signal);
  return 0;
}

/// A pool of one worker, who stands at the gate, so that whatever else is submitted waits.
struct Blocked {
  SharedGate gate;
  ProcessPool<> pool{1};
  OpensAtEnd opens{gate};
  Future<int> running = pool.submit([gate = gate.get()](int n) { return gate->pass(), n; }, 1);

  Blocked() { REQUIRE(gate->is_reached_by(1)); }
};

}  // namespace

TEST_CASE("a callback is called once whatever becomes of the task, before and after its end") {
  Blocked blocked;
  Future<int> good = blocked.pool.submit(divide, 12, 3);
  Future<int> bad = blocked.pool.submit(divide, 1, 0);
  Future<int> dead = blocked.pool.submit(die, SIGKILL);
  Future<int> unwanted = blocked.pool.submit(negate, 1);
  Flag values{0};
  Flag errors{0};
  Flag deaths{0};
  Flag cancellations{0};
  const auto count = [&](const Outcome<int>& outcome) {
    try {
      if (outcome.value() == 4) ++values;
    } catch (const std::domain_error&) {
      ++errors;
    } catch (const WorkerDied&) {
      ++deaths;
    } catch (const Cancelled&) {
      ++cancellations;
    }
  };
  for (auto* future : {&good, &bad, &dead, &unwanted}) future->on_ready(count);
  CHECK(unwanted.cancel());
  blocked.gate->open();
  procpool::wait_all(good, bad, dead, unwanted);
  for (auto* future : {&good, &bad, &dead, &unwanted}) future->on_ready(count);
  CHECK(eventually([&] { return values + errors + deaths + cancellations == 8; }, 20s));
  CHECK(values == 2);
  CHECK(errors == 2);
  CHECK(deaths == 2);
  CHECK(cancellations == 2);
  CHECK(good.get() == 4);
  CHECK_THROWS_AS(dead.get(), WorkerDied);
}

TEST_CASE("callbacks of a task run in the order in which they were given, and what one throws is ignored") {
  Blocked blocked;
  Future<int> future = blocked.pool.submit(negate, 1);
  std::vector<int> order;
  Flag done{0};
  for (int i = 0; i < 20; ++i) {
    future.on_ready([&order, i](const Outcome<int>&) {
      order.push_back(i);
      throw std::runtime_error("ignored");
    });
  }
  blocked.gate->open();
  future.on_ready([&](const Outcome<int>&) { done = 1; });
  REQUIRE(eventually([&] { return done == 1; }, 20s));
  CHECK(order.size() == 20);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("a callback may submit to its pool, and the destructor waits for what comes of it") {
  SharedCount ran;
  Flag told{0};
  {
    ProcessPool pool{2};
    const auto count = [ran = ran.get()](int n) { return *ran += n; };
    for (int i = 0; i < 50; ++i) {
      pool.submit(count, 1).on_ready([&pool, &told, count](const Outcome<int>&) {
        pool.submit(count, 1);
        ++told;
      });
    }
    CHECK(eventually([&] { return told == 50; }, 20s));
  }
  CHECK(*ran == 100);
}

TEST_CASE("callbacks and continuations have run when the pool's destructor returns") {
  int sum = 0;
  {
    ProcessPool pool{2};
    for (int i = 0; i < 100; ++i) {
      pool.submit(negate, i).then([](int n) { return -n; }).then([&sum](int n) { sum += n; });
    }
  }
  CHECK(sum == 4950);
}

TEST_CASE("a pool may be destroyed by a callback of its own") {
  Flag done{0};
  auto pool = std::make_unique<ProcessPool<>>(1);
  auto* const raw = pool.release();
  raw->submit(negate, 1).on_ready([raw, &done](const Outcome<int>&) {
    delete raw;
    done = 1;
  });
  CHECK(eventually([&] { return done == 1; }, 20s));
}

TEST_CASE("a task that waits is cancelled and never runs") {
  SharedCount ran;
  Blocked blocked;
  Future<int> waiting = blocked.pool.submit([ran = ran.get()] { return ++*ran; });
  CHECK_FALSE(waiting.is_running());
  CHECK(waiting.cancel());
  CHECK(waiting.cancel());
  CHECK(waiting.is_ready());
  CHECK_THROWS_AS(waiting.get(), Cancelled);
  blocked.gate->open();
  CHECK(blocked.running.get() == 1);
  blocked.pool.wait_idle();
  CHECK(*ran == 0);
}

TEST_CASE("a map_async that waits is cancelled and never runs") {
  SharedCount ran;
  Blocked blocked;
  Future<std::vector<int>> waiting =
      blocked.pool.map_async([ran = ran.get()](int x) { return *ran += x; }, std::vector{1, 2, 3});
  CHECK(waiting.cancel());
  waiting.wait();
  CHECK(waiting.cancel());
  CHECK_THROWS_WITH(waiting.get(), "the task was cancelled before it ran");
  blocked.gate->open();
  blocked.pool.wait_idle();
  CHECK(*ran == 0);
}

TEST_CASE("cancel() of a map_async that never ran says so at every moment of its end") {
  Flag told{0};
  Flag may_go_on{0};
  Blocked blocked;
  Future<std::vector<int>> waiting = blocked.pool.with({.chunk_size = 1})
                                         .on_progress([&](const procpool::Progress&) {
                                           told = 1;
                                           told.notify_one();
                                           may_go_on.wait(0);
                                         })
                                         .map_async(negate, std::vector{1, 2, 3});
  CHECK(waiting.cancel());
  told.wait(0);
  CHECK(waiting.cancel());  // when its first chunk was collected, and the others were not
  CHECK_FALSE(waiting.is_ready());
  may_go_on = 1;
  may_go_on.notify_one();
  waiting.wait();
  CHECK(waiting.cancel());
}

TEST_CASE("of a map_async that runs, what runs is asked to stop, and what has not begun never will") {
  SharedCount begun;
  ProcessPool pool{1};
  Future<std::vector<int>> all = pool.with({.chunk_size = 1})
                                     .map_async(
                                         [begun = begun.get()](int x) {
                                           ++*begun;
                                           while (!procpool::this_task::stop_requested())
                                             ::usleep(100);  // sleeps: between two looks
                                           return x;
                                         },
                                         std::vector{1, 2, 3});
  REQUIRE(eventually([&] { return *begun == 1; }, 20s));
  CHECK_FALSE(all.cancel());
  CHECK_THROWS_AS(all.get(), Cancelled);
  pool.wait_idle();
  CHECK(*begun == 1);
}

TEST_CASE("of a map_async whose one chunk runs, the items that have not begun never will") {
  SharedCount begun;
  ProcessPool pool{1};
  Future<std::vector<int>> all = pool.with({.chunk_size = 3})
                                     .map_async(
                                         [begun = begun.get()](int x) {
                                           ++*begun;
                                           while (!procpool::this_task::stop_requested())
                                             ::usleep(100);  // sleeps: between two looks
                                           return x;
                                         },
                                         std::vector{1, 2, 3});
  REQUIRE(eventually([&] { return *begun == 1; }, 20s));
  CHECK_FALSE(all.cancel());
  CHECK_THROWS_AS(all.get(), Cancelled);
  pool.wait_idle();
  CHECK(*begun == 1);
}

TEST_CASE("a task that runs is asked to stop, and its result is what it makes of it") {
  SharedCount begun;
  ProcessPool pool{1};
  Future<int> future = pool.submit([begun = begun.get()] {
    *begun = 1;
    while (!procpool::this_task::stop_requested()) ::usleep(100);  // sleeps: between two looks
    return 7;
  });
  REQUIRE(eventually([&] { return *begun == 1; }, 20s));
  CHECK(future.is_running());
  CHECK_FALSE(future.is_ready());
  CHECK_FALSE(future.get_for(1ms).has_value());
  CHECK_FALSE(future.cancel());
  CHECK(future.get() == 7);
  CHECK_THROWS_AS(future.get(), UsageError);
}

TEST_CASE("success and failure are told by how a task ended, not by what it returned") {
  ProcessPool pool{1};
  CHECK(pool.submit([] { return std::optional<int>(); }).get() == std::nullopt);
  CHECK_FALSE(pool.submit([] { return false; }).get());
  CHECK(pool.submit([] { return std::string(); }).get().empty());
  Future<void> nothing = pool.submit([] {});
  CHECK(nothing.exception() == nullptr);
  CHECK(nothing.get_for(20s));
  CHECK_THROWS(pool.submit([] { throw 0; }).get());
  CHECK_THROWS(pool.submit([] { throw std::string(); }).get());
}

TEST_CASE("a future keeps its result when its pool is gone") {
  Future<int> number;
  Future<std::string> text;
  Future<int> failed;
  Future<int> next;
  {
    ProcessPool pool{2};
    number = pool.submit(negate, 5);
    text = pool.submit(repeat, "ab", 10'000);
    failed = pool.submit(divide, 1, 0);
    next = pool.submit(negate, 6).then(negate);
  }
  CHECK(number.get() == -5);
  CHECK(text.get().size() == 20'000);
  CHECK_THROWS_AS(failed.get(), std::domain_error);
  CHECK(next.then(negate).get() == -6);
}

TEST_CASE("a future that has no result when its pool is terminated throws PoolClosed") {
  Blocked blocked;
  Future<int> waiting = blocked.pool.submit(negate, 1);
  Future<int> next = blocked.pool.submit(negate, 2).then(negate);
  Flag told{0};
  waiting.on_ready([&](const Outcome<int>& outcome) { told = outcome ? 1 : 2; });
  blocked.pool.terminate();
  CHECK_THROWS_AS(waiting.get(), PoolClosed);
  CHECK_THROWS_AS(blocked.running.get(), PoolClosed);
  CHECK_THROWS_AS(next.get(), PoolClosed);
  CHECK(eventually([&] { return told == 2; }, 20s));
}

TEST_CASE("a large result reaches callbacks, shared futures and get() alike") {
  ProcessPool pool{2};
  Future<std::string> future = pool.submit(repeat, "0123456789", 100'000);
  Flag size{0};
  future.on_ready([&](const Outcome<std::string>& outcome) { size = static_cast<int>(outcome->size()); });
  const SharedFuture<std::string> shared = future.share();
  CHECK(shared.get().size() == 1'000'000);
  CHECK(&shared.get() == &SharedFuture<std::string>(shared).get());
  CHECK(eventually([&] { return size == 1'000'000; }, 20s));
}

TEST_CASE("a failure that nobody takes is counted, one that a callback was told is not") {
  ProcessPool pool{2};
  pool.submit(divide, 1, 0);
  pool.submit(divide, 1, 0).on_ready([](const Outcome<int>&) {});
  pool.submit(divide, 1, 0).then(negate);
  CHECK_THROWS(pool.submit(divide, 1, 0).get());
  pool.submit(divide, 1, 1);
  pool.wait_idle();
  CHECK(eventually([&] { return pool.stats().dropped_failures == 2; }, 20s));
}

TEST_CASE("wait_any returns at the first end, which may be a death") {
  Blocked blocked;
  ProcessPool other{1};
  std::vector<Future<int>> futures;
  futures.push_back(std::move(blocked.running));
  CHECK_FALSE(procpool::wait_any_for(futures, 1ms).has_value());
  futures.push_back(blocked.pool.submit(negate, 2));
  futures.push_back(other.submit(die, SIGSEGV));
  CHECK(procpool::wait_any(futures) == 2);
  CHECK_THROWS_AS(futures[2].get(), WorkerDied);
  futures.pop_back();
  CHECK(futures[1].cancel());
  CHECK(procpool::wait_any(futures) == 1);
}

TEST_CASE("wait_first_exception returns at a failure while others run, and at the end if nothing fails") {
  Blocked blocked;
  ProcessPool other{1};
  std::vector<Future<int>> futures;
  futures.push_back(std::move(blocked.running));
  futures.push_back(blocked.pool.submit(negate, 2));
  CHECK(futures[1].cancel());
  futures.push_back(other.submit(negate, 1));
  futures.push_back(other.submit(divide, 21, 0));
  CHECK(procpool::wait_first_exception(futures) == 3U);
  CHECK_FALSE(futures[0].is_ready());
  futures.pop_back();
  blocked.gate->open();
  CHECK_FALSE(procpool::wait_first_exception(futures).has_value());
  CHECK(futures[0].is_ready());
}

TEST_CASE("wait_all waits for values, failures, deaths and cancellations") {
  Blocked blocked;
  std::vector<Future<int>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(blocked.pool.submit(divide, 6, i));
  futures.push_back(blocked.pool.submit(die, SIGABRT));
  futures.push_back(blocked.pool.submit(negate, 4));
  CHECK(futures.back().cancel());
  CHECK_FALSE(procpool::wait_all_for(futures, 1ms));
  blocked.gate->open();
  CHECK(procpool::wait_all_for(futures, 20s));
  CHECK_THROWS_AS(futures[0].get(), std::domain_error);
  CHECK(futures[2].get() == 3);
}

TEST_CASE("as_completed yields what has ended while another task still runs") {
  Blocked blocked;
  ProcessPool other{2};
  std::vector<Future<int>> futures;
  futures.push_back(std::move(blocked.running));
  for (int i = 0; i < 100; ++i) futures.push_back(other.submit(negate, i));
  std::multiset<int> values;
  for (Future<int>& future : procpool::as_completed(futures)) {
    values.insert(future.get());
    if (values.size() == 100) blocked.gate->open();
  }
  CHECK(values.size() == 101);
  CHECK(*values.begin() == -99);
  CHECK(*values.rbegin() == 1);
}

TEST_CASE("as_completed says how many futures were unfinished at its deadline") {
  Blocked blocked;
  std::vector<Future<int>> futures;
  futures.push_back(std::move(blocked.running));
  futures.push_back(blocked.pool.submit(negate, 1));
  CHECK(futures[1].cancel());
  std::size_t yielded = 0;
  const auto loop = [&] {
    for ([[maybe_unused]] auto& future : procpool::as_completed(futures, 5ms)) ++yielded;
  };
  CHECK_THROWS_WITH(loop(), Catch::Matchers::ContainsSubstring("1 of 2 futures"));
  CHECK(yielded == 1);
}

TEST_CASE("as_completed keeps up with more ends than any buffer holds") {
  ProcessPool pool{2};
  std::vector<Future<int>> futures;
  for (int i = 0; i < 20'000; ++i) futures.push_back(pool.submit(negate, i));
  long sum = 0;
  for (auto& future : procpool::as_completed(futures)) sum += future.get();
  CHECK(sum == -20'000L * 19'999 / 2);
}

TEST_CASE("when_all collects futures of several types and of several pools") {
  ProcessPool pool{1};
  ProcessPool other{1};
  Future<int> number = pool.submit(negate, 1);
  auto all = procpool::when_all(number, other.submit(repeat, "ab", 2), pool.submit([] {}));
  const auto [first, second, third] = all.get();
  CHECK(first == -1);
  CHECK(second == "abab");

  std::vector<Future<int>> futures;
  for (int i = 0; i < 1000; ++i) futures.push_back(pool.submit(negate, i));
  const std::vector<int> values = procpool::when_all(futures).get();
  REQUIRE(values.size() == 1000);
  CHECK(values[999] == -999);

  auto failing = procpool::when_all(pool.submit(negate, 1), pool.submit(divide, 1, 0), pool.submit(die, SIGKILL));
  CHECK_THROWS_AS(failing.get(), std::domain_error);
}

TEST_CASE("cancel() of a when_all says whether none of its tasks has run, also once one of them was cancelled") {
  Blocked blocked;
  std::vector<Future<int>> never;
  for (int i = 0; i < 2; ++i) never.push_back(blocked.pool.submit(negate, i));
  Future<std::vector<int>> none = procpool::when_all(std::move(never));
  Future<int> unwanted = blocked.pool.submit(negate, 1);
  CHECK(unwanted.cancel());
  Future<std::tuple<int, int>> some = procpool::when_all(std::move(unwanted), std::move(blocked.running));
  Future<void> next = procpool::when_all(some.then([](const std::tuple<int, int>&) {})).then([](const auto&) {});
  CHECK(none.cancel());
  blocked.gate->open();
  none.wait();
  next.wait();
  CHECK(none.cancel());
  CHECK_FALSE(next.cancel());
  CHECK_THROWS_WITH(none.get(), "the task was cancelled before it ran");
  CHECK_THROWS_WITH(next.get(), "the task was cancelled before it ran");
}

TEST_CASE("to cancel a chain of continuations is to cancel the task at its beginning") {
  Blocked blocked;
  Flag ran{0};
  std::vector<Future<int>> parts;
  parts.push_back(blocked.pool.submit(negate, 1).then([&](int n) { return ++ran, n; }));
  parts.push_back(blocked.pool.submit(negate, 2));
  Future<void> all = procpool::when_all(std::move(parts)).then([&](const std::vector<int>&) { ++ran; });
  CHECK(all.cancel());
  CHECK_THROWS_AS(all.get(), Cancelled);
  blocked.gate->open();
  blocked.pool.wait_idle();
  CHECK(ran == 0);
  CHECK(blocked.pool.stats().completed + blocked.pool.stats().failed <= 3);
}

TEST_CASE("to cancel when_all is to cancel every part that waits, and is false because one has begun") {
  const SharedCount runs;
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens{gate};
  std::vector<Future<int>> parts;
  parts.push_back(pool.submit([gate = gate.get()] { return gate->pass(), 0; }));
  REQUIRE(gate->is_reached_by(1));
  for (int i = 0; i < 3; ++i) parts.push_back(pool.submit([runs = runs.get()] { return ++*runs; }));
  Future<std::vector<int>> all = procpool::when_all(std::move(parts));
  CHECK_FALSE(all.cancel());
  CHECK_FALSE(all.is_ready());
  gate->open();
  CHECK_THROWS_AS(all.get(), Cancelled);
  pool.wait_idle();
  CHECK(*runs == 0);
}

TEST_CASE("a map that is sent asynchronously can be continued, shared and awaited as any other") {
  ProcessPool pool{2};
  const std::vector<int> items = {1, 2, 3};
  Future<int> sum = pool.map_async(negate, items).then([](const std::vector<int>& values) {
    int total = 0;
    for (const int value : values) total += value;
    return total;
  });
  const SharedFuture<std::vector<int>> shared = pool.map_async(negate, items).share();
  CHECK(sum.get() == -6);
  CHECK(shared.get() == std::vector{-1, -2, -3});
}

namespace {

support::Coroutine run_all(ProcessPool<>& pool, Flag& result) {
  int sum = co_await pool.with({.label = "a label that is too long for any small buffer"}).submit(negate, 1);
  sum += co_await pool.submit(negate, 10);
  Future<int> kept = pool.submit(negate, 100);
  sum += co_await kept;
  sum += co_await std::move(kept);
  sum += static_cast<int>((co_await pool.with({.label = "words"}).submit(repeat, "abc", 1000)).size());
  co_await pool.submit([] {});
  try {
    co_await pool.submit(divide, 1, 0);
  } catch (const std::domain_error&) {
    sum += 10'000;
  }
  try {
    co_await pool.with({.label = "doomed"}).submit(die, SIGKILL);
  } catch (const WorkerDied& death) {
    if (death.label() == "doomed") sum += 20'000;
  }
  result = sum;
}

}  // namespace

TEST_CASE("a coroutine awaits tasks in one expression with their terms") {
  ProcessPool pool{2};
  Flag result{0};
  run_all(pool, result);
  CHECK(eventually([&] { return result != 0; }, 20s));
  CHECK(result == -1 - 10 - 100 - 100 + 3000 + 10'000 + 20'000);
}

TEST_CASE("a future is of no use in a forked process, and does no harm there") {
  ProcessPool pool{1};
  Future<int> future = pool.submit(negate, 1);
  SharedFuture<int> shared = pool.submit(negate, 2).share();
  shared.wait();
  const bool is_refused = true_in_child([&] {
    const auto refuses = [](auto&& use) {
      try {
        use();
      } catch (const UsageError& error) {
        return std::string_view(error.what()).find("forked") != std::string_view::npos;
      }
      return false;
    };
    bool all = refuses([&] { future.get(); }) && refuses([&] { future.wait(); }) && refuses([&] { future.cancel(); });
    all = all && refuses([&] { future.then(negate); }) && refuses([&] { static_cast<void>(future.is_ready()); });
    all = all && refuses([&] { future.on_ready([](const Outcome<int>&) {}); });
    all = all && refuses([&] { shared.get(); }) && refuses([&] { shared.wait(); });
    const Future<int> dropped = std::move(future);
    shared = SharedFuture<int>();
    return all && dropped.valid();
  });
  CHECK(is_refused);
  CHECK(future.get() == -1);
  CHECK(shared.get() == -2);
}

TEST_CASE("a million futures are held before the first is taken") {
  ProcessPool pool{2};
  std::vector<Future<int>> futures;
  const int count = 1'000'000;
  futures.reserve(count);
  for (int i = 0; i < count; ++i) futures.push_back(pool.submit(negate, i));
  long long sum = 0;
  for (auto& future : futures) sum += future.get();
  CHECK(sum == -static_cast<long long>(count) * (count - 1) / 2);
}
