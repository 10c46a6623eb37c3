// SPDX-License-Identifier: BSL-1.0

/// @file
/// What a pool says of its idleness while its supervisor looks after it, and while workers die at any access.

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/scheduler/counted_tasks.hpp"
#include "../support/scheduler/explore.hpp"

using model::CountedTasks;
using model::demand;
using model::End;
using model::Explored;
using model::PoolUnderScheduler;
using model::Run;
using procpool::detail::deadline_in;
using procpool::detail::ResultHandle;

namespace {

constexpr std::size_t few_tasks = 4;

}  // namespace

TEST_CASE("a pool that is idle is never said to be busy, whatever its supervisor is looking at") {
  const Explored explored = model::explore(300, {}, [](Run& run) {
    CountedTasks tasks(few_tasks);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 4}, {});
    std::vector<ResultHandle> kept;
    for (std::size_t i = 0; i < few_tasks; ++i) kept.push_back(tasks.submit(pool, i));
    demand(pool.core().wait_idle(std::nullopt), "a wait without a deadline has ended in vain");
    for (int look = 0; look < 100; ++look) {
      demand(pool.core().wait_idle(deadline_in(std::chrono::nanoseconds(0))), "a pool is said to be busy that is idle");
    }
    for (std::size_t i = 0; i < few_tasks; ++i) {
      demand(tasks.take(i, std::move(kept[i])) == End::value, "a task has no value, though no worker died");
    }
  });
  CHECK((!explored.is_whole || explored.steps > 500 * explored.runs));  // The library's accesses are seen.
}

TEST_CASE("a pool is not said to be idle while a dead worker's task is on its way to another") {
  const Explored explored = model::explore(1'000, {.most_deaths = 3}, [](Run& run) {
    CountedTasks tasks(few_tasks);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 4}, {});
    std::vector<ResultHandle> open;
    for (std::size_t i = 0; i < few_tasks; ++i) open.push_back(tasks.submit(pool, i));
    std::chrono::milliseconds patience{0};  // now and then some, lest whoever looks keeps all others from running
    while (!pool.core().wait_idle(deadline_in(patience))) patience = std::chrono::milliseconds(1) - patience;
    for (std::size_t i = 0; i < few_tasks; ++i) {
      demand(open[i].is_ready(), "a pool is said to be idle whose task has not ended");
      static_cast<void>(tasks.take(i, std::move(open[i])));
    }
  });
  CHECK((!explored.is_whole || explored.deaths > explored.runs));
}
