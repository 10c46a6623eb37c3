// SPDX-License-Identifier: BSL-1.0

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include <procpool/detail/task/local_task.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/pool_without_processes.hpp"

using procpool::SharedMemoryExhausted;
using procpool::detail::Exchange;
using procpool::detail::Handle;
using procpool::detail::LocalTask;
using procpool::detail::Phase;
using procpool::detail::ResultHandle;
using procpool::detail::Slot;
using procpool::detail::StateWord;
using support::PoolWithoutProcesses;

namespace {

/// All slots of a pool, each with a task that some worker runs.
std::vector<ResultHandle> take_all_slots(Exchange& exchange) {
  std::vector<ResultHandle> taken;
  const std::lock_guard lock(exchange.submit_mutex);
  while (const std::optional<Handle> handle = exchange.slots.allocate()) {
    exchange.retain();
    exchange.slots[*handle].store(StateWord::queued(1).with_phase(Phase::running));
    taken.emplace_back(exchange, *handle);
  }
  return taken;
}

void end_task(Exchange& exchange, Handle handle) {
  exchange.slots[handle].store(StateWord::queued(1).with_phase(Phase::done));
}

void end_all(const std::vector<ResultHandle>& tasks) {
  for (const ResultHandle& task : tasks) {
    if (task.valid()) end_task(task.exchange(), task.handle());
  }
}

}  // namespace

TEST_CASE("the word of a continuation is that of no other that had its slot before") {
  // Who looks for tasks that nobody ends may have seen the word of one that was given back since.
  PoolWithoutProcesses pool(1);
  Exchange& exchange = pool.exchange();
  std::set<std::uint64_t> words;
  for (int i = 0; i < 5; ++i) {
    LocalTask task(exchange);
    const ResultHandle future = task.take_future();
    CHECK(future.handle() == 0);
    Slot& slot = exchange.slots[future.handle()];
    CHECK(words.insert(slot.load().bits()).second);
    StateWord old = StateWord(*words.begin());
    if (i > 0) CHECK_FALSE(slot.transition(old, old.with_phase(Phase::lost)));
    task.succeed(nullptr);
  }
}

TEST_CASE("a continuation gets the slot of a dropped task that has ended") {
  PoolWithoutProcesses pool(1);
  std::vector<ResultHandle> tasks = take_all_slots(pool.exchange());
  const Handle dropped = tasks.back().handle();
  tasks.pop_back();
  end_task(pool.exchange(), dropped);
  {
    LocalTask task(pool.exchange());
    const ResultHandle future = task.take_future();
    CHECK(future.handle() == dropped);
    task.succeed(nullptr);
  }
  end_all(tasks);
}

TEST_CASE("a continuation waits for the slot of a dropped task that runs, as a submit does") {
  PoolWithoutProcesses pool(1);
  std::vector<ResultHandle> tasks = take_all_slots(pool.exchange());
  const Handle dropped = tasks.back().handle();
  tasks.pop_back();
  std::thread worker([&] { end_task(pool.exchange(), dropped); });
  {
    LocalTask task(pool.exchange());
    const ResultHandle future = task.take_future();
    CHECK(future.handle() == dropped);
    task.succeed(nullptr);
  }
  worker.join();
  end_all(tasks);
}

TEST_CASE("a continuation fails for want of a slot if all futures are held") {
  PoolWithoutProcesses pool(1);
  const std::vector<ResultHandle> tasks = take_all_slots(pool.exchange());
  CHECK_THROWS_AS(LocalTask(pool.exchange()), SharedMemoryExhausted);
  end_all(tasks);
}
