// SPDX-License-Identifier: BSL-1.0

/// @file
/// Workers leave because they have been idle for long, while work comes.

#include <chrono>
#include <cstddef>
#include <cstdint>
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
using model::some_spin;
using procpool::detail::deadline_in;
using procpool::detail::EventCount;
using procpool::detail::ResultHandle;
using procpool::detail::Worker;

namespace {

constexpr std::size_t tasks_of_a_round = 3;
constexpr std::size_t rounds = 3;

/// Sleeps until idle workers are about to retire, do so, or have just done it.
void sleep_until_retirement(Run& run) {
  const EventCount nobody_rings;
  const std::chrono::microseconds before(10 - static_cast<int>(run.random().below(20)));
  nobody_rings.wait(nobody_rings.key(), Worker::idle_before_retirement - before);
}

}  // namespace

TEST_CASE("no task waits in vain for a worker that retires, whether it may run anywhere or there alone") {
  std::uint64_t retired = 0;
  const Explored explored = model::explore(1'000, {}, [&](Run& run) {
    CountedTasks tasks(rounds * tasks_of_a_round);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 4, .min_workers = 1}, some_spin(run));
    std::vector<ResultHandle> open;
    for (std::size_t round = 0; round < rounds; ++round) {
      if (round > 0) sleep_until_retirement(run);
      const std::size_t first = round * tasks_of_a_round;
      open.push_back(tasks.submit(pool, first));
      open.push_back(tasks.post(pool, first + 1, 1));  // the one that retires
      open.push_back(tasks.submit(pool, first + 2));
      for (std::size_t i = first; i < open.size(); ++i) {
        demand(open[i].wait(deadline_in(std::chrono::seconds(30))), "a task does not end");
        demand(tasks.take(i, std::move(open[i])) == End::value, "a task has no value, though no worker died");
        demand(tasks.runs(i) == 1, "a task did not run once");
      }
    }
    retired += pool.core().supervisor().recycled();
  });
  CHECK((!explored.is_whole || retired > explored.runs));
}
