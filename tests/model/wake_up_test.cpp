// SPDX-License-Identifier: BSL-1.0

/// @file
/// No sleep ends by its timeout here until all has ended: a wake-up that is missing leaves somebody asleep for ever.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <procpool/detail/task/wait_set.hpp>

#include "../support/catch.hpp"
#include "../support/scheduler/counted_tasks.hpp"
#include "../support/scheduler/explore.hpp"

using model::CountedTasks;
using model::demand;
using model::End;
using model::Explored;
using model::PoolUnderScheduler;
using model::Run;
using model::some_spin;
using procpool::detail::EventCount;
using procpool::detail::ResultHandle;
using procpool::detail::TaskContext;
using procpool::detail::WaitSet;

namespace {

constexpr std::size_t tasks_of_each = 3;
constexpr std::size_t block = 200;
constexpr std::size_t two_blocks = 2 * block;

/// Two threads of the user's process do the same, one with the tasks below `tasks_of_each`, one with those behind.
template <class Use>
void explore_two_users(std::uint64_t runs, std::size_t most_capacity, Use use) {
  const Explored explored = model::explore(runs, {.sleeps_end = false}, [&](Run& run) {
    CountedTasks tasks(2 * tasks_of_each);
    const std::size_t capacity = 1 + run.random().below(most_capacity);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = capacity, .queue_bytes = two_blocks}, some_spin(run));
    model::Fiber& other = run.start("other user", [&] { use(pool, tasks, tasks_of_each); });
    use(pool, tasks, 0);
    run.join(other);
    for (std::size_t i = 0; i < 2 * tasks_of_each; ++i) demand(tasks.runs(i) == 1, "a task did not run once");
    run.let_sleeps_end();
  });
  CHECK((!explored.is_whole || explored.steps > 500 * explored.runs));  // The library's accesses are seen.
}

/// A task that does not end before as many have begun as there are workers.
struct Meeting {
  static constexpr std::size_t most = 3;

  std::atomic<std::size_t> present{0};
  EventCount arrival;

  static void run(TaskContext& context) {
    Meeting* meeting = nullptr;
    std::memcpy(static_cast<void*>(&meeting), context.arguments().data(), sizeof meeting);
    meeting->present.fetch_add(1, std::memory_order_seq_cst);
    meeting->arrival.ring_all();
    for (;;) {
      const EventCount::Key key = meeting->arrival.key();
      if (meeting->present.load(std::memory_order_seq_cst) == most) break;
      meeting->arrival.wait(key);
    }
    context.return_inline(std::size_t{0});
  }
};

}  // namespace

TEST_CASE(
    "no wake-up is missing between threads that submit to a full queue and wait, and workers that look and sleep") {
  explore_two_users(2'500, 2, [](PoolUnderScheduler& pool, CountedTasks& tasks, std::size_t first) {
    std::vector<ResultHandle> open;
    for (std::size_t i = 0; i < tasks_of_each; ++i) open.push_back(tasks.submit(pool, first + i));
    for (std::size_t i = 0; i < tasks_of_each; ++i) {
      open[i].wait();
      demand(tasks.take(first + i, std::move(open[i])) == End::value, "a task has no value, though no worker died");
    }
  });
}

TEST_CASE("no wake-up is missing between threads that wait until fewer bytes wait, and workers that take what does") {
  explore_two_users(2'500, 8, [](PoolUnderScheduler& pool, CountedTasks& tasks, std::size_t first) {
    std::vector<ResultHandle> open;
    for (std::size_t i = 0; i < tasks_of_each; ++i) open.push_back(tasks.submit_with_block(pool, first + i, block));
    for (std::size_t i = 0; i < tasks_of_each; ++i) {
      open[i].wait();
      demand(tasks.take(first + i, std::move(open[i])) == End::value, "a task has no value, though no worker died");
    }
  });
}

TEST_CASE("no wake-up is missing between threads that wait for many tasks and workers that end them") {
  explore_two_users(2'500, 8, [](PoolUnderScheduler& pool, CountedTasks& tasks, std::size_t first) {
    std::vector<ResultHandle> open;
    WaitSet set(pool.core().exchange().hub);
    for (std::size_t i = 0; i < tasks_of_each; ++i) {
      open.push_back(tasks.submit(pool, first + i));
      set.add(open.back().handle(), i);
    }
    while (set.size() > 0) {
      const std::size_t i = *set.next({}, std::nullopt);
      demand(open[i].is_ready(), "a task is said to have ended that has not");
      demand(tasks.take(first + i, std::move(open[i])) == End::value, "a task has no value, though no worker died");
    }
  });
}

TEST_CASE("no wake-up is missing between threads that nap while workers are busy and workers that run out of work") {
  constexpr std::size_t workers = 2;
  std::uint64_t naps = 0;
  const Explored explored = model::explore(2'500, {.sleeps_end = false}, [&](Run& run) {
    CountedTasks tasks(2 * tasks_of_each);
    PoolUnderScheduler pool(run, {.workers = workers, .queue_capacity = 8, .cpus = workers}, some_spin(run));
    procpool::detail::Exchange& exchange = pool.core().exchange();
    const auto use = [&](std::size_t first) {
      std::vector<ResultHandle> open;
      for (std::size_t i = 0; i < tasks_of_each; ++i) open.push_back(tasks.submit(pool, first + i));
      for (std::size_t i = 0; i < tasks_of_each; ++i) {
        for (int wait = 0; wait < 3; ++wait) exchange.naps.time([] {});  // as if short ones had gone before
        naps += exchange.naps.nap(std::chrono::hours(1)) ? 1 : 0;
        open[i].wait();
        demand(tasks.take(first + i, std::move(open[i])) == End::value, "a task has no value, though no worker died");
      }
    };
    model::Fiber& other = run.start("other user", [&] { use(tasks_of_each); });
    use(0);
    run.join(other);
    run.let_sleeps_end();
  });
  CHECK((!explored.is_whole || naps > explored.runs / 10));
}

TEST_CASE("as many tasks as there are workers run at the same time, however few wake-ups their submitter gives") {
  const Explored explored = model::explore(1'500, {.sleeps_end = false}, [](Run& run) {
    const auto meeting = std::make_unique<Meeting>();
    PoolUnderScheduler pool(run, {.workers = Meeting::most, .queue_capacity = 4}, some_spin(run));
    std::vector<ResultHandle> open;
    for (std::size_t i = 0; i < Meeting::most; ++i) open.push_back(pool.submit(Meeting::run, meeting.get()));
    for (ResultHandle& task : open) task.wait();
    run.let_sleeps_end();
  });
  CHECK((!explored.is_whole || explored.steps > 500 * explored.runs));
}
