// SPDX-License-Identifier: BSL-1.0

#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include <procpool/detail/pool/async_map_job.hpp>
#include <procpool/detail/pool/broadcast.hpp>
#include <procpool/detail/pool/lazy_job.hpp>
#include <procpool/detail/pool/map_job.hpp>
#include <procpool/detail/pool/worker.hpp>
#include <procpool/detail/task/gather.hpp>
#include <procpool/detail/task/local_task.hpp>
#include <procpool/detail/task/when_ended.hpp>
#include <procpool/future.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/pool_without_processes.hpp"
#include "../../../support/refusing_operator_new.hpp"

using procpool::Future;
using procpool::SharedFuture;
using procpool::detail::ChunksInFlight;
using procpool::detail::Continuation;
using procpool::detail::Gather;
using procpool::detail::Handle;
using procpool::detail::LocalTask;
using procpool::detail::OldestFirst;
using procpool::detail::Phase;
using procpool::detail::PostedTasks;
using procpool::detail::ResultHandle;
using procpool::detail::SentChunk;
using procpool::detail::SentChunks;
using procpool::detail::Slot;
using procpool::detail::StateWord;
using procpool::detail::TaskContext;
using procpool::detail::Watcher;
using support::PoolWithoutProcesses;
using support::Refusals;

namespace {

class CountsRuns final : public Continuation {
 public:
  explicit CountsRuns(int& runs) noexcept : runs_(runs) {}
  void run() noexcept override { ++runs_; }

 private:
  int& runs_;
};

class Other final : public Watcher {
 public:
  void ended(Handle) noexcept override {}
};

class GathersNothing final : public Gather {
 public:
  using Gather::Gather;

 private:
  std::shared_ptr<void> collect(std::vector<ResultHandle>&) override { return nullptr; }
};

[[nodiscard]] ResultHandle submit(PoolWithoutProcesses& pool) {
  return pool.submit([](TaskContext&) {}, 0);
}

void end_task(PoolWithoutProcesses& pool, Handle task) {
  Slot& slot = pool.exchange().slots[task];
  const StateWord before = slot.load();
  slot.store(before.with_phase(Phase::done));
  pool.exchange().announce_end(task, before);
}

/// Adds tasks by `add(task)` until request number `refused` of one call is refused. False if none ever is.
template <class Add>
[[nodiscard]] bool leaves_nothing_that_runs(PoolWithoutProcesses& pool, int refused, Add add) {
  for (int i = 0; i < 40; ++i) {
    ResultHandle task = submit(pool);
    const ResultHandle seen = task.duplicate();
    bool was_refused = false;
    Refusals::next = refused;
    try {
      add(std::move(task));
    } catch (const std::bad_alloc&) {
      was_refused = true;
    }
    Refusals::next = -1;
    CHECK(seen.was_cancelled() == was_refused);
    if (was_refused) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a future is dropped without memory") {
  PoolWithoutProcesses pool(1);
  std::optional<ResultHandle> task = submit(pool);
  const Handle handle = task->handle();
  const int refusals = Refusals::count.load();
  Refusals::next = 0;
  task.reset();
  Refusals::next = -1;
  CHECK(Refusals::count.load() == refusals);
  CHECK(pool.exchange().abandoned().count() == 1);
  pool.exchange().slots[handle].store(StateWord::queued(1).with_phase(Phase::done));
}

TEST_CASE("what was to run when a task has ended is left with the caller if there is no memory for it") {
  for (int refused = 0, were_refused = 1; were_refused != 0; ++refused) {
    CAPTURE(refused);
    PoolWithoutProcesses pool(1);
    int runs = 0;
    Other other;
    {
      const ResultHandle task = submit(pool);
      pool.exchange().hub.watch(task.handle(), other);  // so that one more needs memory
      std::unique_ptr<Continuation> continuation = std::make_unique<CountsRuns>(runs);
      const int before = Refusals::count.load();
      Refusals::next = refused;
      bool is_taken = false;
      try {
        is_taken = pool.exchange().dispatcher.after(task.handle(), continuation);
      } catch (const std::bad_alloc&) {
      }
      Refusals::next = -1;
      were_refused = Refusals::count.load() - before;
      CHECK(is_taken == (were_refused == 0));
      CHECK((continuation != nullptr) == (were_refused != 0));
      if (!is_taken) CHECK(pool.exchange().dispatcher.after(task.handle(), continuation));
      end_task(pool, task.handle());
      pool.exchange().dispatcher.finish();
    }
    CHECK(runs == 1);
  }
}

TEST_CASE("a future that there is no memory to continue or to share is as before") {
  for (const bool is_shared : {false, true}) {
    for (int refused = 0, were_refused = 1; were_refused != 0; ++refused) {
      CAPTURE(is_shared, refused);
      PoolWithoutProcesses pool(1);
      Future<void> source(submit(pool));
      const Handle task = procpool::detail::FutureAccess::task(source).handle();
      SharedFuture<void> shared;
      Future<int> next;
      const auto begin = [&] {
        if (is_shared && !shared.valid()) shared = source.share();
        next = is_shared ? shared.then([] { return 7; }) : source.then([] { return 7; });
      };
      const int before = Refusals::count.load();
      Refusals::next = refused;
      try {
        begin();
      } catch (const std::bad_alloc&) {
      }
      Refusals::next = -1;
      were_refused = Refusals::count.load() - before;
      REQUIRE(next.valid() == (were_refused == 0));
      if (!next.valid()) {
        REQUIRE(source.valid() != shared.valid());
        begin();
      }
      end_task(pool, task);
      pool.exchange().dispatcher.finish();
      CHECK(next.get() == 7);
      CHECK(pool.exchange().past_failures() == 0);
    }
  }
}

TEST_CASE("a continuation that nobody runs fails, though there is no memory to say why") {
  PoolWithoutProcesses pool(1);
  std::optional<LocalTask> task(pool.exchange());
  const ResultHandle future = task->take_future();
  const int before = Refusals::count.load();
  Refusals::are_for_others = true;
  task.reset();
  Refusals::are_for_others = false;
  CHECK(Refusals::count.load() > before);
  CHECK(future.has_failed());
}

TEST_CASE("tasks that there is no memory to wait for together are let go") {
  for (int refused = 0, were_refused = 1; were_refused != 0; ++refused) {
    CAPTURE(refused);
    PoolWithoutProcesses pool(1);
    std::vector<ResultHandle> parts;
    for (int i = 0; i < 2; ++i) parts.push_back(submit(pool));
    const std::vector<Handle> handles{parts[0].handle(), parts[1].handle()};
    std::shared_ptr<Gather> gather = std::make_shared<GathersNothing>(std::move(parts));
    const std::weak_ptr<Gather> left = gather;
    const int before = Refusals::count.load();
    std::optional<ResultHandle> all;
    Refusals::next = refused;
    try {
      all = Gather::start(gather);
    } catch (const std::bad_alloc&) {
    }
    Refusals::next = -1;
    were_refused = Refusals::count.load() - before;
    CHECK(all.has_value() == (were_refused == 0));
    gather.reset();
    for (const Handle task : handles) end_task(pool, task);
    pool.exchange().dispatcher.finish();
    if (all) CHECK(all->word().phase() == Phase::done);
    all.reset();
    CHECK(left.expired());
  }
}

TEST_CASE("a task that was sent and that there is no memory to keep is cancelled") {
  const auto as_chunk = [](ResultHandle task) { return SentChunk{std::move(task), 0, 1}; };
  for (int refused = 0, kinds_refused = 4; kinds_refused != 0; ++refused) {
    CAPTURE(refused);
    PoolWithoutProcesses pool(1);
    OldestFirst in_order(pool.exchange().hub);
    ChunksInFlight as_they_end(pool.exchange().hub);
    SentChunks all;
    PostedTasks posted;
    kinds_refused = 0;
    kinds_refused +=
        leaves_nothing_that_runs(pool, refused, [&](auto task) { in_order.add(as_chunk(std::move(task))); });
    kinds_refused +=
        leaves_nothing_that_runs(pool, refused, [&](auto task) { as_they_end.add(as_chunk(std::move(task))); });
    kinds_refused += leaves_nothing_that_runs(pool, refused, [&](auto task) { all.add(as_chunk(std::move(task))); });
    kinds_refused += leaves_nothing_that_runs(pool, refused, [&](auto task) { posted.add(std::move(task)); });
    CHECK((refused > 0 || kinds_refused == 4));
    all.cancel();
  }
}
