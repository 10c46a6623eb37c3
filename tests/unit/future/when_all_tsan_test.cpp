// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <procpool/future.hpp>

#include "../../support/address_space.hpp"
#include "../../support/catch.hpp"
#include "../../support/coroutine.hpp"
#include "../../support/threads_as_workers.hpp"

using procpool::Cancelled;
using procpool::Future;
using procpool::Outcome;
using procpool::SharedFuture;
using procpool::UsageError;
using procpool::when_all;
using support::LocalValue;
using support::Workbench;
using support::WorkerTask;

namespace {

/// Of a pool that has gone, which had the first part; the second is `late`.
Future<std::tuple<int, int>> orphan(WorkerTask<int>& late) {
  Workbench first;
  WorkerTask<int> early(first);
  Future<std::tuple<int, int>> all = when_all(early.future(), late.future());
  early.start();
  early.finish(1);
  return all;
}

/// A range that goes over its elements twice.
template <class T>
class Twice {
 public:
  class Iterator {
   public:
    Iterator(std::vector<T>& elements, std::size_t place) : elements_(elements), place_(place) {}
    T& operator*() const { return elements_[place_ % elements_.size()]; }
    Iterator& operator++() { return ++place_, *this; }
    bool operator!=(const Iterator& other) const { return place_ != other.place_; }

   private:
    std::vector<T>& elements_;
    std::size_t place_;
  };

  explicit Twice(std::vector<T>& elements) : elements_(elements) {}
  [[nodiscard]] Iterator begin() const { return {elements_, 0}; }
  [[nodiscard]] Iterator end() const { return {elements_, 2 * elements_.size()}; }

 private:
  std::vector<T>& elements_;
};

Future<int> make_ready_future(Workbench& bench) {
  LocalValue<int> value(bench);
  value.set(1);
  return value.future();
}

}  // namespace

TEST_CASE("when_all gives the tuple of what it was given, in that order") {
  Workbench bench;
  WorkerTask<int> number(bench);
  WorkerTask<void> nothing(bench);
  LocalValue<std::unique_ptr<std::string>> text(bench);
  Future<int> lvalue = number.future();
  Future<std::tuple<int, std::monostate, std::unique_ptr<std::string>>> all =
      when_all(lvalue, nothing.future(), text.future());
  CHECK_FALSE(lvalue.valid());
  text.set(std::make_unique<std::string>("last"));
  nothing.start();
  nothing.finish();
  CHECK_FALSE(all.is_ready());
  std::thread worker([&] {
    number.start();
    number.finish(4);
  });
  const auto [first, second, third] = all.get();
  worker.join();
  CHECK(first == 4);
  CHECK(*third == "last");
}

TEST_CASE("when_all of a range gives a vector, or nothing of nothings") {
  Workbench bench;
  std::vector<Future<int>> futures;
  std::vector<std::unique_ptr<WorkerTask<int>>> tasks;
  std::vector<Future<void>> nothings;
  for (int i = 0; i < 50; ++i) {
    tasks.push_back(std::make_unique<WorkerTask<int>>(bench));
    futures.push_back(tasks.back()->future());
    nothings.push_back(futures.back().then([](int) {}));
    tasks.push_back(std::make_unique<WorkerTask<int>>(bench));
    futures.back() = tasks.back()->future();
  }
  Future<std::vector<int>> values = when_all(futures);
  Future<void> ended = when_all(std::move(nothings));
  for (std::size_t i = tasks.size(); i-- > 0;) {
    tasks[i]->start();
    tasks[i]->finish(static_cast<int>(i / 2));
  }
  ended.get();
  const std::vector<int> taken = values.get();
  REQUIRE(taken.size() == 50);
  for (std::size_t i = 0; i < taken.size(); ++i) CHECK(taken[i] == static_cast<int>(i));
}

TEST_CASE("when_all of what has ended is ready, and of no futures is ready and empty") {
  Workbench bench;
  WorkerTask<int> task(bench);
  task.start();
  task.finish(1);
  CHECK(when_all(task.future()).is_ready());

  std::vector<Future<int>> none;
  Future<std::vector<int>> empty = when_all(none);
  CHECK(empty.is_ready());
  CHECK(empty.then([](const std::vector<int>& values) { return values.size(); }).get() == 0);
  CHECK_NOTHROW(when_all(std::vector<Future<void>>()).get());
}

TEST_CASE("when_all waits for every task and then fails as the first that failed, by position") {
  Workbench bench;
  WorkerTask<int> one(bench);
  WorkerTask<int> two(bench);
  WorkerTask<int> three(bench);
  Future<std::tuple<int, int, int>> all = when_all(one.future(), two.future(), three.future());
  three.start();
  three.lose(std::range_error("three"));
  two.start();
  two.lose(std::runtime_error("two"));
  CHECK_FALSE(all.is_ready());
  one.start();
  one.finish(1);
  CHECK_THROWS_WITH(all.get(), "two");
}

TEST_CASE("to cancel when_all is to cancel all parts, and is true if none of them had begun") {
  Workbench bench;
  WorkerTask<int> one(bench);
  WorkerTask<int> two(bench);
  Future<std::tuple<int, int>> all = when_all(one.future(), two.future());
  CHECK(all.cancel());
  CHECK_FALSE(one.start());
  CHECK_FALSE(two.start());
  CHECK_THROWS_AS(all.get(), Cancelled);
}

TEST_CASE("what waits for tasks that never ran says so also when it has taken them") {
  using procpool::detail::FutureAccess;
  using Pair = procpool::detail::TupleGather<int, int>;
  const auto cancel = [](procpool::detail::Upstream& awaited) {
    std::shared_ptr<procpool::detail::Upstream> further;
    return awaited.cancel(further) && further == nullptr;  // What it waits for waits for nothing itself.
  };
  const auto cancelled_in_the_end = [&](bool has_run) {
    Workbench bench;
    WorkerTask<int> one(bench);
    WorkerTask<int> two(bench);
    Future<int> first = one.future();
    Future<int> second = two.future();
    std::vector<procpool::detail::ResultHandle> parts;
    parts.push_back(FutureAccess::take(first));
    parts.push_back(FutureAccess::take(second));
    const auto gather = std::make_shared<Pair>(std::move(parts));
    const Future<std::tuple<int, int>> all(Pair::start(gather));
    if (has_run) {
      one.start();
      one.finish(1);
    }
    CHECK(cancel(*gather) == !has_run);
    CHECK(all.wait_for(std::chrono::seconds(20)));
    return cancel(*gather);
  };
  CHECK(cancelled_in_the_end(false));
  CHECK_FALSE(cancelled_in_the_end(true));

  Workbench bench;
  WorkerTask<int> task(bench);
  Future<int> future = task.future();
  procpool::detail::Source source;
  source.set(FutureAccess::take(future));
  CHECK(cancel(source));
  const procpool::detail::ResultHandle taken = source.take();
  CHECK(cancel(source));
}

TEST_CASE("to cancel when_all is to cancel what has not begun, which is false if a part runs") {
  Workbench bench;
  WorkerTask<int> running(bench);
  WorkerTask<int> waiting(bench);
  Future<std::tuple<int, int>> all = when_all(running.future(), waiting.future());
  running.start();
  CHECK_FALSE(all.cancel());
  CHECK(running.was_asked_to_stop());
  CHECK_FALSE(waiting.start());
  running.finish(1);
  CHECK_THROWS_AS(all.get(), Cancelled);
}

TEST_CASE("to cancel when_all is false if it will fail as a part that has failed before") {
  Workbench bench;
  WorkerTask<int> failed(bench);
  WorkerTask<int> waiting(bench);
  Future<std::tuple<int, int>> all = when_all(failed.future(), waiting.future());
  failed.start();
  failed.lose(std::runtime_error("failed"));
  CHECK_FALSE(all.cancel());
  CHECK_FALSE(waiting.start());
  CHECK_THROWS_WITH(all.get(), "failed");
}

TEST_CASE("when_all consumes nothing if one of its futures has no result") {
  Workbench bench;
  WorkerTask<int> task(bench);
  std::vector<Future<int>> futures(2);
  futures[0] = task.future();
  CHECK_THROWS_AS(when_all(futures), UsageError);
  CHECK_THROWS_AS(when_all(futures[0], futures[1]), UsageError);
  CHECK(futures[0].valid());
}

TEST_CASE("when_all consumes nothing if it is given a future twice, and says so") {
  Workbench bench;
  std::vector<std::unique_ptr<WorkerTask<int>>> tasks;
  std::vector<Future<int>> futures;
  for (int i = 0; i < 3; ++i) {
    tasks.push_back(std::make_unique<WorkerTask<int>>(bench));
    futures.push_back(tasks.back()->future());
  }
  const Twice<Future<int>> range(futures);
  std::string why;
  const bool one_by_one = GENERATE(true, false);
  try {
    if (one_by_one) when_all(futures[2], futures[0], futures[2]);
    else when_all(range);
  } catch (const UsageError& error) {
    why = error.what();
  }
  CHECK(why.find("twice") != std::string::npos);
  for (const Future<int>& future : futures) CHECK(future.valid());
}

TEST_CASE("when_all takes futures of several pools, and the first pool may go before the others") {
  Workbench second;
  WorkerTask<int> late(second);
  Future<std::tuple<int, int>> all;
  {
    Workbench first;
    WorkerTask<int> early(first);
    all = when_all(early.future(), late.future());
    early.start();
    early.finish(1);
  }
  CHECK_FALSE(all.is_ready());
  std::thread worker([&] {
    late.start();
    late.finish(2);
  });
  CHECK(all.get() == std::tuple(1, 2));
  worker.join();
}

TEST_CASE("a when_all that waits for another pool is continued, in whatever way, though its own pool is gone") {
  Workbench second;
  WorkerTask<int> late(second);
  SharedFuture<std::tuple<int, int>> all = orphan(late).share();
  std::atomic<int> sum{0};
  all.on_ready([&](const Outcome<std::tuple<int, int>>& both) { sum += std::get<1>(both.value()); });
  Future<int> next = all.then([](const std::tuple<int, int>& both) { return std::get<1>(both) * 10; });
  Future<int> last = next.then([](int value) { return value + 1; });
  [](SharedFuture<std::tuple<int, int>> awaited, std::atomic<int>& added) -> support::Coroutine {
    added += 100 * std::get<1>(co_await awaited);
  }(all, sum);
  CHECK(sum == 0);
  CHECK_FALSE(last.is_ready());
  late.start();
  late.finish(2);
  CHECK(last.get() == 21);
  CHECK(all.get() == std::tuple(1, 2));
  second.exchange().dispatcher.finish();
  CHECK(sum == 202);
}

TEST_CASE("a callback of a pool may continue a when_all that waits for that pool, and whose own pool is gone") {
  Workbench second;
  WorkerTask<int> early(second);
  WorkerTask<int> late(second);
  Future<std::tuple<int, int>> all = orphan(late);
  std::promise<int> sum;
  early.future().on_ready([&](const Outcome<int>&) {
    all.on_ready([&](const Outcome<std::tuple<int, int>>& both) { sum.set_value(std::get<1>(both.value())); });
    late.start();
    late.finish(7);
  });
  early.start();
  early.finish(1);
  CHECK(sum.get_future().get() == 7);
}

TEST_CASE("a timed wait for a when_all that waits for another pool ends in time, though its own pool is gone") {
  Workbench second;
  WorkerTask<int> late(second);
  WorkerTask<int> other(second);
  std::vector<Future<std::tuple<int, int>>> futures;
  futures.push_back(when_all(other.future(), make_ready_future(second)));
  futures.push_back(orphan(late));
  CHECK_FALSE(wait_any_for(futures, std::chrono::milliseconds(1)));
  std::thread worker([&] {
    late.start();
    late.finish(2);
  });
  CHECK(wait_any(futures) == 1);
  worker.join();
  other.start();
  other.finish(1);
}

TEST_CASE("a long chain behind a when_all whose pool is gone runs link by link, in order, on no deep stack") {
  constexpr int links = support::is_sanitized ? 2'000 : 30'000;
  Workbench second;
  WorkerTask<int> late(second);
  Future<int> chain = orphan(late).then([](const std::tuple<int, int>& both) { return std::get<1>(both); });
  for (int i = 0; i < links; ++i) {
    chain = chain.then([i](int seen) { return seen == i + 5 ? seen + 1 : -1; });
  }
  late.start();
  late.finish(5);
  CHECK(chain.get() == links + 5);
}

TEST_CASE("who continues a when_all of a gone pool at the moment when it ends sees its end, many times over") {
  Workbench second;
  for (int round = 0; round < 500; ++round) {
    WorkerTask<int> late(second);
    Future<std::tuple<int, int>> all = orphan(late);
    std::thread worker([&] {
      late.start();
      late.finish(round);
    });
    CHECK(all.then([](const std::tuple<int, int>& both) { return std::get<1>(both); }).get() == round);
    worker.join();
  }
}

TEST_CASE("the end of a pool waits for a continuation that waits for another pool") {
  Workbench second;
  WorkerTask<int> late(second);
  std::atomic<int> sum{0};
  std::thread worker;
  {
    Workbench first;
    WorkerTask<int> early(first);
    when_all(early.future(), late.future()).then([&](const std::tuple<int, int>& both) {
      sum = std::get<0>(both) + std::get<1>(both);
    });
    early.start();
    early.finish(1);
    worker = std::thread([&] {
      late.start();
      late.finish(2);
    });
  }
  CHECK(sum == 3);
  worker.join();
}

TEST_CASE("a when_all that was dropped takes its parts with it") {
  Workbench bench;
  LocalValue<std::shared_ptr<int>> value(bench);
  WorkerTask<int> task(bench);
  auto kept = std::make_shared<int>(1);
  const std::weak_ptr<int> witness = kept;
  when_all(value.future(), task.future());
  value.set(std::move(kept));
  task.start();
  task.finish(1);
  bench.exchange().dispatcher.finish();
  CHECK(witness.expired());
}
