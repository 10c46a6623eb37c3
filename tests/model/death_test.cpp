// SPDX-License-Identifier: BSL-1.0

/// @file
/// Workers die or stand still at any access to memory that is shared.

#include <chrono>
#include <cstddef>
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
using procpool::detail::deadline_in;
using procpool::detail::ResultHandle;
using procpool::detail::SupervisedTerms;
using procpool::detail::TaskNote;
using procpool::detail::Tries;
using procpool::detail::WaitSet;

namespace {

constexpr std::size_t task_count = 8;
constexpr std::chrono::seconds long_enough{30};  // hundreds of ticks, and no stop is as long

std::unique_ptr<TaskNote> note_of(const SupervisedTerms& terms) {
  auto note = std::make_unique<TaskNote>();
  note->tries = std::make_unique<Tries>(terms);
  return note;
}

/// Whether the task waits for nobody but a worker that is stopped.
bool is_held_up(Run& run, PoolUnderScheduler& pool, const ResultHandle& task) {
  return run.in_one_step([&] {
    const auto word = task.word();
    const model::Fiber* worker = word.is_in_hand() ? pool.zygote().worker(word.owner()) : nullptr;
    return worker != nullptr && run.is_stopped(*worker);
  });
}

}  // namespace

TEST_CASE("a worker that dies at any access loses the task that it runs at most, and that runs no second time") {
  const Explored explored = model::explore(2'500, {.most_deaths = 3}, [](Run& run) {
    CountedTasks tasks(task_count);
    const std::chrono::nanoseconds spin = some_spin(run);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 4, .max_tasks = run.random().once_in(4) ? 2 : 0},
                            spin);
    std::vector<ResultHandle> open;
    for (std::size_t i = 0; i < task_count; ++i) {
      open.push_back(tasks.submit(pool, i));
      if (run.random().once_in(6)) open.back() = ResultHandle();  // Nobody waits for that one.
    }
    int died = 0;
    for (std::size_t i = 0; i < task_count; ++i) {
      if (!open[i].valid()) continue;
      demand(open[i].wait(deadline_in(long_enough)), "a task does not end");
      const End end = tasks.take(i, std::move(open[i]));
      demand(end == End::value || end == End::died, "a task ended in a way that nobody asked for");
      died += end == End::died ? 1 : 0;
    }
    demand(died <= run.deaths(), "a death has cost more than a task");
    for (std::size_t i = 0; i < task_count; ++i) demand(tasks.runs(i) <= 1, "a task ran twice");
  });
  CHECK((!explored.is_whole || explored.deaths > explored.runs / 2));
  CHECK((!explored.is_whole || explored.deaths_with_a_mutex > 0));
}

TEST_CASE("whoever waits for many tasks is told of each, though workers die between its end and the telling") {
  const Explored explored = model::explore(2'000, {.most_deaths = 3}, [](Run& run) {
    CountedTasks tasks(task_count);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 16}, some_spin(run));
    std::vector<ResultHandle> open;
    WaitSet set(pool.core().exchange().hub);
    for (std::size_t i = 0; i < task_count; ++i) {
      open.push_back(tasks.submit(pool, i));
      set.add(open.back().handle(), i);
    }
    while (set.size() > 0) {
      const std::optional<std::size_t> i = set.next({}, deadline_in(long_enough));
      demand(i.has_value(), "nobody tells that a task has ended");
      const End end = tasks.take(*i, std::move(open[*i]));
      demand(end == End::value || end == End::died, "a task ended in a way that nobody asked for");
    }
  });
  CHECK((!explored.is_whole || explored.deaths > explored.runs / 2));
}

TEST_CASE("a task with retries survives as many deaths") {
  const Explored explored = model::explore(1'000, {.most_deaths = 2}, [](Run& run) {
    CountedTasks tasks(task_count);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 16}, some_spin(run));
    std::vector<ResultHandle> open;
    for (std::size_t i = 0; i < task_count; ++i) open.push_back(tasks.submit(pool, i, note_of({.retries = 2})));
    for (std::size_t i = 0; i < task_count; ++i) {
      demand(open[i].wait(deadline_in(long_enough)), "a task does not end");
      demand(tasks.take(i, std::move(open[i])) == End::value, "a task has no value, though its retries were not spent");
      demand(tasks.runs(i) <= 1 + run.deaths(), "a task ran more often than workers died");
    }
  });
  CHECK((!explored.is_whole || explored.deaths > explored.runs / 2));
}

TEST_CASE("while a worker is stopped at any access all tasks end but the one in its hand") {
  const Explored explored = model::explore(2'500, {.most_stops = 1, .longest_stop = INT64_MAX / 4}, [](Run& run) {
    CountedTasks tasks(task_count);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 4}, some_spin(run));
    std::vector<ResultHandle> open;
    for (std::size_t i = 0; i < task_count; ++i) open.push_back(tasks.submit(pool, i));
    for (std::size_t i = 0; i < task_count; ++i) {
      int patience = 600;
      while (!open[i].wait(deadline_in(std::chrono::milliseconds(50))) && !is_held_up(run, pool, open[i])) {
        demand(--patience > 0, "a task that no stopped worker has in hand does not end");
      }
    }
    run.end_deaths_and_stops();
    for (std::size_t i = 0; i < task_count; ++i) {
      open[i].wait();
      demand(tasks.take(i, std::move(open[i])) == End::value, "a task has no value, though no worker died");
      demand(tasks.runs(i) == 1, "a task did not run once");
    }
  });
  CHECK((!explored.is_whole || explored.steps > 500 * explored.runs));
}

TEST_CASE("a cancel, a kill or a deadline at any moment ends the task that is meant and no other") {
  const Explored explored = model::explore(3'000, {.most_deaths = 1}, [](Run& run) {
    CountedTasks tasks(task_count);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 4}, some_spin(run));
    std::vector<ResultHandle> open;
    for (std::size_t i = 0; i < task_count; ++i) {
      const bool has_deadline = i % 4 == 2;
      open.push_back(tasks.submit(
          pool, i, has_deadline ? note_of({.timeout = std::chrono::milliseconds(5)}) : std::unique_ptr<TaskNote>()));
    }
    std::vector<bool> never_ran(task_count);
    const auto meddle = [&] {
      for (std::size_t i = 0; i < task_count; i += 2) {
        if (i % 4 == 0) never_ran[i] = open[i].cancel();
        else open[i].kill();
      }
    };
    model::Fiber& meddler = run.start("meddler", meddle);
    for (std::size_t i = 0; i < task_count; ++i) {
      demand(open[i].wait(deadline_in(long_enough)), "a task does not end");
    }
    run.join(meddler);
    int died = 0;
    for (std::size_t i = 0; i < task_count; ++i) {
      const End end = tasks.take(i, std::move(open[i]));
      demand(tasks.runs(i) <= 1, "a task ran twice");
      demand(!never_ran[i] || (end == End::cancelled && tasks.runs(i) == 0), "a task that was cancelled has run");
      demand(end != End::cancelled || i % 2 == 0, "a task was cancelled that was not meant");
      demand(end != End::late || i % 4 == 2, "a task without a deadline was late");
      died += end == End::died ? 1 : 0;
    }
    demand(died <= run.deaths(), "a death has cost more than a task");
  });
  CHECK((!explored.is_whole || explored.deaths > 0));
}

TEST_CASE("a task for one worker alone runs there, or in its next life, whenever workers die") {
  const Explored explored = model::explore(1'500, {.most_deaths = 3}, [](Run& run) {
    CountedTasks tasks(task_count);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 4}, some_spin(run));
    std::vector<ResultHandle> queued;
    int died = 0;
    for (std::size_t i = 0; i < task_count; i += 2) {
      queued.push_back(tasks.submit(pool, i));
      ResultHandle posted = tasks.post(pool, i + 1, i / 2 % 2);
      demand(posted.wait(deadline_in(long_enough)), "a task for one worker alone does not end");
      died += tasks.take(i + 1, std::move(posted)) == End::died ? 1 : 0;
    }
    for (std::size_t i = 0; i < task_count; i += 2) {
      demand(queued[i / 2].wait(deadline_in(long_enough)), "a task does not end");
      died += tasks.take(i, std::move(queued[i / 2])) == End::died ? 1 : 0;
    }
    demand(died <= run.deaths(), "a death has cost more than a task");
    for (std::size_t i = 0; i < task_count; ++i) demand(tasks.runs(i) <= 1, "a task ran twice");
  });
  CHECK((!explored.is_whole || explored.deaths > explored.runs / 2));
}

TEST_CASE("no task is lost while a pool becomes larger and smaller and workers die") {
  const Explored explored = model::explore(1'500, {.most_deaths = 2}, [](Run& run) {
    CountedTasks tasks(task_count);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 4}, some_spin(run));
    model::Fiber& resizer = run.start("resizer", [&] {
      for (const std::size_t workers : {1, 3, 1, 2}) pool.core().resize(workers);
    });
    std::vector<ResultHandle> open;
    for (std::size_t i = 0; i < task_count; ++i) open.push_back(tasks.submit(pool, i));
    for (std::size_t i = 0; i < task_count; ++i) {
      demand(open[i].wait(deadline_in(long_enough)), "a task does not end");
      const End end = tasks.take(i, std::move(open[i]));
      demand(end == End::value || (end == End::died && run.deaths() > 0), "a task was lost");
      demand(tasks.runs(i) <= 1, "a task ran twice");
    }
    run.join(resizer);
  });
  CHECK((!explored.is_whole || explored.deaths > explored.runs / 2));
}

TEST_CASE("when the zygote dies at any moment each task has its value or says that the pool is broken") {
  const Explored explored = model::explore(2'000, {.most_deaths = 2}, [](Run& run) {
    CountedTasks tasks(task_count);
    PoolUnderScheduler pool(run, {.workers = 2, .queue_capacity = 4, .zygote_is_mortal = true}, some_spin(run));
    std::vector<ResultHandle> open;
    try {
      for (std::size_t i = 0; i < task_count; ++i) open.push_back(tasks.submit(pool, i));
    } catch (const procpool::BrokenPool&) {
      demand(pool.zygote().kernel() != nullptr, "the pool is broken, though its zygote lives");
    }
    for (std::size_t i = 0; i < open.size(); ++i) {
      demand(open[i].wait(deadline_in(long_enough)), "a task does not end");
      const End end = tasks.take(i, std::move(open[i]));
      demand(end != End::broken || pool.zygote().kernel() != nullptr, "the pool is broken, though its zygote lives");
      demand(end == End::value || run.deaths() > 0, "a task was lost, though nobody died");
      demand(tasks.runs(i) <= 1, "a task ran twice");
    }
  });
  CHECK((!explored.is_whole || explored.deaths > explored.runs / 4));
}
