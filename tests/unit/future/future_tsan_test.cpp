// SPDX-License-Identifier: BSL-1.0

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <procpool/error.hpp>
#include <procpool/future.hpp>

#include "../../support/catch.hpp"
#include "../../support/coroutine.hpp"
#include "../../support/patience.hpp"
#include "../../support/threads_as_workers.hpp"

using namespace std::chrono_literals;
using procpool::Cancelled;
using procpool::Future;
using procpool::Outcome;
using procpool::SharedFuture;
using procpool::UsageError;
using support::Coroutine;
using support::eventually;
using support::LocalValue;
using support::Workbench;
using support::WorkerTask;

namespace {

const std::runtime_error broken("broken");

/// A number that a test and the dispatch thread both look at.
using Flag = std::atomic<int>;

/// Waits until the dispatch thread has run whatever follows tasks that have ended. What it takes up together may run in
/// any order; so a second round is behind all that was taken up with the first.
void drain_dispatch(Workbench& bench) {
  for (int round = 0; round < 2; ++round) {
    LocalValue<int> last(bench);
    Flag done{0};
    last.future().on_ready([&](const Outcome<int>&) { done = 1; });
    last.set(0);
    REQUIRE(eventually([&] { return done == 1; }, 20s));
  }
}

/// Calls `run` on a thread with so little stack that no long recursion fits.
void on_small_stack(std::function<void()> run) {
  ::pthread_attr_t attributes;
  REQUIRE(::pthread_attr_init(&attributes) == 0);
  REQUIRE(::pthread_attr_setstacksize(&attributes, std::size_t{256} << 10) == 0);
  const auto call = [](void* function) -> void* {
    (*static_cast<std::function<void()>*>(function))();
    return nullptr;
  };
  ::pthread_t thread{};
  REQUIRE(::pthread_create(&thread, &attributes, call, &run) == 0);
  ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&attributes);
}

}  // namespace

TEST_CASE("a future gives its value once") {
  Workbench bench;
  WorkerTask<int> task(bench);
  Future<int> future = task.future();
  CHECK(future.valid());
  CHECK_FALSE(future.is_ready());
  CHECK_FALSE(future.is_running());
  task.start();
  CHECK(future.is_running());
  task.finish(42);
  CHECK(future.is_ready());
  CHECK_FALSE(future.is_running());
  CHECK(future.exception() == nullptr);
  CHECK(future.get() == 42);
  CHECK_FALSE(future.valid());
  CHECK_THROWS_AS(future.get(), UsageError);
}

TEST_CASE("a future without a result is refused by every verb, with a word on what took it") {
  const auto is_refused_everywhere = [](Future<int>& future) {
    CHECK_FALSE(future.valid());
    CHECK_THROWS_WITH(future.get(), Catch::Matchers::ContainsSubstring("moved from"));
    CHECK_THROWS_AS(future.get_for(1s), UsageError);
    CHECK_THROWS_AS(future.wait(), UsageError);
    CHECK_THROWS_AS(future.wait_for(1s), UsageError);
    CHECK_THROWS_AS(future.wait_until(std::chrono::system_clock::now()), UsageError);
    CHECK_THROWS_AS(future.is_ready(), UsageError);
    CHECK_THROWS_AS(future.is_running(), UsageError);
    CHECK_THROWS_AS(future.exception(), UsageError);
    CHECK_THROWS_AS(future.cancel(), UsageError);
    CHECK_THROWS_AS(future.on_ready([](const Outcome<int>&) {}), UsageError);
    CHECK_THROWS_AS(future.then([](int) {}), UsageError);
    CHECK_THROWS_AS(future.share(), UsageError);
    CHECK_THROWS_AS(future.operator co_await(), UsageError);
    CHECK_THROWS_AS(std::move(future).operator co_await(), UsageError);
  };
  Future<int> none;
  is_refused_everywhere(none);

  Workbench bench;
  WorkerTask<int> task(bench);
  Future<int> future = task.future();
  const Future<int> moved_to = std::move(future);
  is_refused_everywhere(future);
  CHECK(moved_to.valid());
}

TEST_CASE("assigning to a future drops the result that it had") {
  Workbench bench;
  WorkerTask<int> first(bench);
  WorkerTask<int> second(bench);
  first.start();
  first.lose(broken);
  Future<int> future = first.future();
  future = second.future();
  CHECK(bench.exchange().dropped_failures() == 1);
  second.start();
  second.finish(2);
  CHECK(future.get() == 2);
}

TEST_CASE("a failure is thrown by get() and told by exception()") {
  Workbench bench;
  WorkerTask<int> task(bench);
  Future<int> future = task.future();
  task.start();
  task.lose(broken);
  const std::exception_ptr told = future.exception();
  REQUIRE(told != nullptr);
  CHECK_THROWS_AS(std::rethrow_exception(told), std::runtime_error);
  CHECK_THROWS_AS(future.get(), std::runtime_error);
  CHECK_FALSE(future.valid());
}

TEST_CASE("a value that looks like a failure is a value") {
  Workbench bench;
  LocalValue<std::exception_ptr> value(bench);
  Future<std::exception_ptr> future = value.future();
  value.set(std::make_exception_ptr(broken));
  CHECK(future.exception() == nullptr);
  CHECK(future.get() != nullptr);

  WorkerTask<bool> falsey(bench);
  falsey.start();
  falsey.finish(false);
  CHECK(falsey.future().get() == false);
}

TEST_CASE("a failure that nobody has seen is counted, one that somebody was told of is not") {
  Workbench bench;
  const auto lost = [&] {
    WorkerTask<int> task(bench);
    task.start();
    task.lose(broken);
    return task.future();
  };
  static_cast<void>(lost());
  CHECK(bench.exchange().dropped_failures() == 1);
  CHECK(lost().exception() != nullptr);
  CHECK_THROWS(lost().get());
  lost().on_ready([](const Outcome<int>&) {});
  lost().then([](int) {}).share().wait();
  drain_dispatch(bench);
  CHECK(bench.exchange().dropped_failures() == 2);
  {
    Future<int> told = lost();
    told.on_ready([](const Outcome<int>&) {});
    drain_dispatch(bench);
  }
  CHECK(bench.exchange().dropped_failures() == 2);
}

TEST_CASE("a wait that is too short leaves the future as it was") {
  Workbench bench;
  WorkerTask<int> task(bench);
  Future<int> future = task.future();
  CHECK_FALSE(future.wait_for(0s));
  CHECK_FALSE(future.wait_for(-1h));
  CHECK_FALSE(future.wait_for(std::chrono::nanoseconds::min()));
  CHECK_FALSE(future.wait_for(1ms));
  CHECK_FALSE(future.wait_for(std::chrono::duration<double>(0.001)));
  CHECK_FALSE(future.wait_for(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())));
  CHECK_FALSE(future.wait_until(std::chrono::steady_clock::now()));
  CHECK_FALSE(future.wait_until(std::chrono::system_clock::now() + 1ms));
  CHECK_FALSE(future.wait_until(std::chrono::steady_clock::time_point::min()));
  CHECK_FALSE(future.get_for(1us).has_value());
  CHECK(future.valid());
  task.start();
  task.finish(3);
  CHECK(future.wait_for(0s));
  CHECK(future.wait_for(-1s));
  CHECK(future.get_for(0s) == 3);
  CHECK_FALSE(future.valid());
}

TEST_CASE("a future of nothing tells by a bool whether it has ended in time") {
  Workbench bench;
  WorkerTask<void> task(bench);
  Future<void> future = task.future();
  CHECK_FALSE(future.get_for(1ms));
  task.start();
  task.finish();
  CHECK(future.get_for(1ms));
  CHECK_FALSE(future.valid());

  WorkerTask<void> lost(bench);
  lost.start();
  lost.lose(broken);
  CHECK_THROWS_AS(lost.future().get(), std::runtime_error);
}

TEST_CASE("a wait of centuries is one for ever") {
  Workbench bench(0us);
  const auto ends_while = [&](auto wait) {
    WorkerTask<int> task(bench);
    Future<int> future = task.future();
    std::thread worker([&] {
      task.start();
      task.finish(1);
    });
    const bool has_ended = wait(future);
    worker.join();
    return has_ended;
  };
  CHECK(ends_while([](auto& future) { return future.wait_for(std::chrono::hours::max()); }));
  CHECK(ends_while([](auto& future) { return future.wait_for(std::chrono::nanoseconds::max()); }));
  CHECK(ends_while([](auto& future) { return future.wait_for(std::chrono::duration<float>(1e30F)); }));
  CHECK(ends_while([](auto& future) { return future.wait_until(std::chrono::steady_clock::time_point::max()); }));
  CHECK(ends_while([](auto& future) { return future.wait_until(std::chrono::system_clock::time_point::max()); }));
}

TEST_CASE("threads that sleep on one future all see its end") {
  Workbench bench(0us);
  WorkerTask<int> task(bench);
  const Future<int> future = task.future();
  std::vector<std::thread> waiters;
  Flag awake{0};
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&] {
      future.wait();
      ++awake;
    });
  }
  CHECK(awake == 0);
  task.start();
  task.finish(1);
  for (std::thread& waiter : waiters) waiter.join();
  CHECK(awake == 4);
}

TEST_CASE("a task that nobody has claimed is cancelled for good, one that runs is asked to stop") {
  Workbench bench;
  WorkerTask<int> waiting(bench);
  Future<int> future = waiting.future();
  CHECK(future.cancel());
  CHECK(future.cancel());
  CHECK_FALSE(waiting.start());
  CHECK(future.is_ready());
  CHECK_THROWS_AS(std::rethrow_exception(future.exception()), Cancelled);
  CHECK_THROWS_AS(future.get(), Cancelled);

  WorkerTask<int> running(bench);
  Future<int> other = running.future();
  running.start();
  CHECK_FALSE(running.was_asked_to_stop());
  CHECK_FALSE(other.cancel());
  CHECK(running.was_asked_to_stop());
  running.finish(8);
  CHECK_FALSE(other.cancel());
  CHECK(other.get() == 8);
}

TEST_CASE("cancel() wakes those who wait") {
  Workbench bench(0us);
  WorkerTask<int> task(bench);
  Future<int> future = task.future();
  std::thread waiter([&] { future.wait(); });
  CHECK(future.cancel());
  waiter.join();
}

TEST_CASE("a callback is told once of a value, a failure or a cancellation, before and after the end") {
  Workbench bench;
  WorkerTask<int> good(bench);
  WorkerTask<int> bad(bench);
  WorkerTask<int> unwanted(bench);
  Future<int> futures[] = {good.future(), bad.future(), unwanted.future()};
  Flag values{0};
  Flag failures{0};
  Flag cancellations{0};
  const auto count = [&](const Outcome<int>& outcome) {
    if (outcome && *outcome == 5) ++values;
    if (outcome) return;
    try {
      outcome.value();
    } catch (const Cancelled&) {
      ++cancellations;
    } catch (const std::runtime_error&) {
      ++failures;
    }
  };
  for (auto& future : futures) future.on_ready(count);
  good.start();
  good.finish(5);
  bad.start();
  bad.lose(broken);
  CHECK(futures[2].cancel());
  for (auto& future : futures) future.wait();
  for (auto& future : futures) future.on_ready(count);
  drain_dispatch(bench);
  CHECK(values == 2);
  CHECK(failures == 2);
  CHECK(cancellations == 2);
  CHECK(futures[0].get() == 5);
}

TEST_CASE("callbacks of a future run in the order in which they came, whatever the others throw") {
  Workbench bench;
  WorkerTask<int> task(bench);
  Future<int> future = task.future();
  std::vector<int> order;  // the dispatch thread's until drain_dispatch() has returned
  for (int i = 0; i < 100; ++i) {
    future.on_ready([&order, i](const Outcome<int>&) {
      order.push_back(i);
      if (i % 3 == 0) throw std::runtime_error("as callbacks do");
      if (i % 3 == 1) throw 0;
    });
  }
  task.start();
  task.finish(1);
  for (int i = 100; i < 200; ++i) future.on_ready([&order, i](const Outcome<int>&) { order.push_back(i); });
  drain_dispatch(bench);
  REQUIRE(order.size() == 200);
  for (int i = 0; i < 200; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("a callback keeps the task though the future goes") {
  Workbench bench;
  WorkerTask<int> task(bench);
  Flag seen{0};
  task.future().on_ready([&](const Outcome<int>& outcome) { seen = *outcome; });
  task.start();
  task.finish(9);
  drain_dispatch(bench);
  CHECK(seen == 9);
}

TEST_CASE("a callback may capture what cannot be copied") {
  Workbench bench;
  WorkerTask<int> task(bench);
  Flag sum{0};
  auto addend = std::make_unique<int>(30);
  task.future().on_ready(
      [&, addend = std::move(addend)](Outcome<int> outcome) { sum = *addend + std::move(outcome).value(); });
  task.start();
  task.finish(12);
  drain_dispatch(bench);
  CHECK(sum == 42);
}

TEST_CASE("the last future may go on the dispatch thread, after its pool") {
  Flag is_gone{0};
  std::mutex hold_back;
  std::unique_lock held(hold_back);
  {
    Workbench bench;
    WorkerTask<int> task(bench);
    auto last = std::make_shared<Future<int>>(task.future());
    LocalValue<int> trigger(bench);
    trigger.future().on_ready([last, &is_gone, &hold_back](const Outcome<int>&) mutable {
      const std::lock_guard wait(hold_back);
      last.reset();
      is_gone = 1;
    });
    last.reset();
    trigger.set(1);
    held.unlock();
  }
  CHECK(is_gone == 1);
}

TEST_CASE("a pool may be destroyed by one of its own callbacks") {
  Flag is_done{0};
  auto* bench = new Workbench;
  {
    LocalValue<int> trigger(*bench);
    Future<int> future = trigger.future();
    future.on_ready([bench](const Outcome<int>&) { delete bench; });
    future.on_ready([&](const Outcome<int>&) { is_done = 1; });
    trigger.set(1);
  }
  CHECK(eventually([&] { return is_done == 1; }, 20s));
}

TEST_CASE("after the pool is gone callbacks run where they are given") {
  Future<int> future;
  Future<int> shared;
  {
    Workbench bench;
    WorkerTask<int> task(bench);
    future = task.future();
    task.start();
    task.finish(20);
  }
  std::thread::id where;
  future.on_ready([&](const Outcome<int>&) { where = std::this_thread::get_id(); });
  CHECK(where == std::this_thread::get_id());
  CHECK(future.then([](int n) { return n + 1; }).then([](int n) { return n * 2; }).get() == 42);
}

TEST_CASE("a continuation gets the value and gives another") {
  Workbench bench;
  WorkerTask<int> task(bench);
  Future<int> future = task.future();
  const std::string unit = " apples";
  Future<std::string> text = future.then([&unit](int n) { return std::to_string(n) + unit; });
  CHECK_FALSE(future.valid());
  CHECK(text.valid());
  CHECK_FALSE(text.is_ready());
  CHECK_FALSE(text.is_running());
  task.start();
  task.finish(3);
  CHECK(text.get() == "3 apples");
}

TEST_CASE("continuations take and give nothing, what cannot be copied, and references") {
  Workbench bench;
  WorkerTask<void> task(bench);
  static int somewhere = 5;
  Future<int> number = task.future()
                           .then([] { return std::make_unique<int>(4); })
                           .then([](std::unique_ptr<int> pointer) { somewhere += *pointer; })
                           .then([]() -> int& { return somewhere; });
  task.start();
  task.finish();
  CHECK(number.get() == 9);

  struct Account {
    int balance = 0;
  };
  WorkerTask<int> other(bench);
  Future<int> balance = other.future().then([](int n) { return Account{n}; }).then(&Account::balance);
  other.start();
  other.finish(7);
  CHECK(balance.get() == 7);
}

TEST_CASE("a failure passes through continuations, which do not run") {
  Workbench bench;
  WorkerTask<int> task(bench);
  Flag ran{0};
  Future<int> end = task.future().then([&](int) { ++ran; }).then([&] { return ++ran, 1; });
  task.start();
  task.lose(broken);
  CHECK_THROWS_AS(end.get(), std::runtime_error);
  CHECK(ran == 0);

  WorkerTask<int> other(bench);
  Future<int> thrown = other.future().then([](int n) -> int { throw std::range_error(std::to_string(n)); });
  other.start();
  other.finish(6);
  CHECK_THROWS_WITH(thrown.get(), "6");
}

TEST_CASE("to cancel a continuation is to cancel what it waits for") {
  Workbench bench;
  WorkerTask<int> task(bench);
  Flag ran{0};
  Future<int> end = task.future().then([&](int) { ++ran; }).then([&] { return ++ran, 1; });
  CHECK(end.cancel());
  CHECK_FALSE(task.start());
  CHECK_THROWS_AS(end.get(), Cancelled);
  CHECK(ran == 0);

  WorkerTask<int> running(bench);
  Future<int> other = running.future().then([](int n) { return n; });
  running.start();
  CHECK_FALSE(other.cancel());
  CHECK(running.was_asked_to_stop());
  running.finish(1);
  CHECK(other.get() == 1);
  {
    WorkerTask<int> unwanted(bench);
    Future<int> dropped = unwanted.future().then([](int n) { return n; });
    CHECK(dropped.cancel());
    dropped.wait();
  }
  CHECK(bench.exchange().dropped_failures() == 0);  // A cancellation is no failure.
}

TEST_CASE("a continuation whose future was dropped runs, and what it made goes on the dispatch thread") {
  struct Witness {
    std::thread::id* died_on = nullptr;
    explicit Witness(std::thread::id* where) : died_on(where) {}
    Witness(Witness&& other) noexcept : died_on(std::exchange(other.died_on, nullptr)) {}
    ~Witness() {
      if (died_on != nullptr) *died_on = std::this_thread::get_id();
    }
  };
  Workbench bench;
  WorkerTask<int> task(bench);
  std::thread::id ran_on;
  std::thread::id died_on;
  task.future().then([&](int) {
    ran_on = std::this_thread::get_id();
    return Witness(&died_on);
  });
  task.start();
  task.finish(1);
  drain_dispatch(bench);
  CHECK(ran_on != std::thread::id());
  CHECK(died_on == ran_on);
  CHECK(died_on != std::this_thread::get_id());
}

TEST_CASE("a future may be the value of a future") {
  Workbench bench;
  WorkerTask<int> task(bench);
  WorkerTask<int> inner(bench);
  Future<Future<int>> nested = task.future().then([&](int) { return inner.future(); });
  task.start();
  task.finish(1);
  nested.wait();
  inner.start();
  inner.finish(2);
  CHECK(nested.get().get() == 2);

  WorkerTask<int> again(bench);
  WorkerTask<int> dropped(bench);
  again.future().then([&](int) { return dropped.future(); });
  again.start();
  again.finish(1);
  drain_dispatch(bench);
  CHECK(bench.exchange().abandoned().count() == 1);
}

TEST_CASE("a value that cannot be copied goes to the first who asks") {
  Workbench bench;
  LocalValue<std::unique_ptr<int>> value(bench);
  Future<std::unique_ptr<int>> future = value.future();
  Flag seen{0};
  future.on_ready([&](Outcome<std::unique_ptr<int>> outcome) { seen = **outcome; });
  value.set(std::make_unique<int>(11));
  drain_dispatch(bench);
  CHECK(seen == 11);
  CHECK_THROWS_AS(future.get(), UsageError);
}

TEST_CASE("a value that can be copied reaches callbacks and get()") {
  Workbench bench;
  LocalValue<std::string> value(bench);
  Future<std::string> future = value.future();
  Flag seen{0};
  for (int i = 0; i < 3; ++i) {
    future.on_ready([&](Outcome<std::string> outcome) { seen += static_cast<int>(outcome->size()); });
  }
  value.set(std::string(100, 'x'));
  drain_dispatch(bench);
  CHECK(seen == 300);
  CHECK(future.get() == std::string(100, 'x'));
}

TEST_CASE("copies of a shared future give the same object to every thread") {
  Workbench bench;
  WorkerTask<int> task(bench);
  SharedFuture<std::string> shared =
      task.future().then([](int n) { return std::string(50, 'a') + std::to_string(n); }).share();
  std::vector<const std::string*> seen(4);
  std::vector<std::thread> readers;
  for (auto& where : seen) readers.emplace_back([copy = shared, &where] { where = &copy.get(); });
  CHECK_FALSE(shared.wait_for(0s));
  task.start();
  task.finish(1);
  for (std::thread& reader : readers) reader.join();
  for (const std::string* text : seen) CHECK(text == &shared.get());
  CHECK(shared.get() == std::string(50, 'a') + "1");
  CHECK(shared.is_ready());
  CHECK(shared.exception() == nullptr);
  CHECK(shared.wait_until(std::chrono::system_clock::now()));
}

TEST_CASE("a shared future throws its failure to everyone, and is cancelled for everyone") {
  Workbench bench;
  WorkerTask<int> task(bench);
  const SharedFuture<int> shared = task.future().share();
  const SharedFuture<int> copy = shared;
  CHECK(copy.cancel());
  for (int i = 0; i < 2; ++i) {
    CHECK_THROWS_AS(shared.get(), Cancelled);
    CHECK_THROWS_AS(copy.get(), Cancelled);
  }
  const SharedFuture<int> none;
  CHECK_FALSE(none.valid());
  CHECK_THROWS_AS(none.get(), UsageError);
  CHECK_THROWS_AS(none.wait(), UsageError);
  CHECK_THROWS_AS(none.then([](int) {}), UsageError);
}

TEST_CASE("a shared future has many continuations and callbacks") {
  Workbench bench;
  WorkerTask<int> task(bench);
  const SharedFuture<int> shared = task.future().share();
  Flag told{0};
  std::vector<Future<int>> sums;
  for (int i = 0; i < 3; ++i) {
    shared.on_ready([&](const Outcome<int>& outcome) { told += *outcome; });
    sums.push_back(shared.then([i](const int& n) { return n + i; }));
  }
  CHECK_FALSE(sums[2].cancel());
  task.start();
  task.finish(10);
  for (int i = 0; i < 3; ++i) CHECK(sums[static_cast<std::size_t>(i)].get() == 10 + i);
  CHECK(eventually([&] { return told == 30; }, 20s));

  WorkerTask<void> other(bench);
  const SharedFuture<void> ended = other.future().share();
  Future<int> after = ended.then([] { return 1; });
  CHECK(ended.cancel());
  CHECK_THROWS_AS(after.get(), Cancelled);
}

namespace {

Coroutine await_twice(Future<int>& first, Future<int> second, Flag& sum) {
  sum += co_await first;
  sum += co_await std::move(second);
  sum += first.get();
}

Coroutine await_failure(Future<int> future, Flag& caught) {
  try {
    co_await std::move(future);
  } catch (const std::runtime_error&) {
    caught = 1;
  }
}

Coroutine await_shared(SharedFuture<std::string> future, Flag& size) {
  const std::string& text = co_await future;
  size = static_cast<int>(text.size());
}

Coroutine await_nothing(Future<void> future, Flag& done) {
  co_await future;
  co_await std::move(future);
  done = 1;
}

Coroutine throw_out_of_it(Future<int> future) {
  co_await std::move(future);
  throw std::runtime_error("nobody catches this");
}

}  // namespace

TEST_CASE("a coroutine goes on with the values that it waited for") {
  Workbench bench;
  WorkerTask<int> one(bench);
  WorkerTask<int> two(bench);
  Future<int> first = one.future();
  Flag sum{0};
  await_twice(first, two.future(), sum);
  CHECK(sum == 0);
  one.start();
  one.finish(100);
  CHECK(eventually([&] { return sum == 100; }, 20s));
  two.start();
  two.finish(20);
  CHECK(eventually([&] { return sum == 220; }, 20s));
}

TEST_CASE("a coroutine does not wait for what has ended") {
  Workbench bench;
  LocalValue<int> one(bench);
  LocalValue<int> two(bench);
  Future<int> first = one.future();
  Flag sum{0};
  one.set(1);
  two.set(2);
  await_twice(first, two.future(), sum);
  CHECK(sum == 4);
}

TEST_CASE("a coroutine is thrown what the task ended with") {
  Workbench bench;
  WorkerTask<int> task(bench);
  Flag caught{0};
  await_failure(task.future(), caught);
  task.start();
  task.lose(broken);
  CHECK(eventually([&] { return caught == 1; }, 20s));
}

TEST_CASE("a coroutine waits for shared futures and for nothing") {
  Workbench bench;
  LocalValue<std::string> text(bench);
  Flag size{0};
  await_shared(text.future().share(), size);
  WorkerTask<void> task(bench);
  Flag done{0};
  await_nothing(task.future(), done);
  text.set(std::string(12, ' '));
  task.start();
  task.finish();
  CHECK(eventually([&] { return size == 12 && done == 1; }, 20s));
}

TEST_CASE("what leaves a coroutine is ignored as from any callback") {
  Workbench bench;
  WorkerTask<int> task(bench);
  const Coroutine coroutine = throw_out_of_it(task.future());
  task.start();
  task.finish(1);
  drain_dispatch(bench);
  CHECK(coroutine.handle.done());
  coroutine.handle.destroy();
}

TEST_CASE("a coroutine that waits for a future of a pool that is gone goes on at once") {
  Future<int> first;
  Future<int> second;
  {
    Workbench bench;
    LocalValue<int> one(bench);
    LocalValue<int> two(bench);
    first = one.future();
    second = two.future();
    one.set(1);
    two.set(2);
  }
  Flag sum{0};
  await_twice(first, std::move(second), sum);
  CHECK(sum == 4);
}

TEST_CASE("cancel() and kill() go down a chain of continuations on no deep stack, however long it is") {
  constexpr int links = 10'000;
  const bool is_killed = GENERATE(false, true);
  const bool has_begun = GENERATE(false, true);
  const bool has_when_all = GENERATE(false, true);
  Workbench bench;
  WorkerTask<int> task(bench);
  if (has_begun) task.start();
  Future<int> chain = task.future();
  const auto lengthen = [&] { chain = chain.then([](int value) { return value + 1; }); };
  for (int i = 0; i < links; ++i) {
    if (!has_when_all) lengthen();
    else if (i % 2 == 0) chain = when_all(std::move(chain)).then([](std::tuple<int> all) { return std::get<0>(all); });
  }
  bool never_runs = !has_begun;
  on_small_stack([&] {
    if (is_killed) chain.kill();
    else never_runs = chain.cancel();
  });
  CHECK(never_runs == !has_begun);
  if (!has_begun) {
    CHECK_THROWS_AS(chain.get(), Cancelled);
    return;
  }
  CHECK(task.was_asked_to_stop());
  CHECK(task.is_condemned() == is_killed);
  task.lose(Cancelled("killed"));
  CHECK_THROWS_AS(chain.get(), Cancelled);
}

TEST_CASE("futures are held and taken by the hundred thousand") {
  Workbench bench;
  constexpr int count = 100'000;
  std::vector<Future<int>> futures;
  for (int i = 0; i < count; ++i) {
    WorkerTask<int> task(bench);
    futures.push_back(task.future());
    task.start();
    task.finish(i);
  }
  long sum = 0;
  for (auto& future : futures) sum += future.get();
  CHECK(sum == static_cast<long>(count) * (count - 1) / 2);
}
