// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <procpool/detail/pool/deadlines.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/pool_without_processes.hpp"

using namespace procpool::detail;
using namespace std::chrono_literals;
using procpool::QueueTimeout;
using procpool::TaskTimeout;

namespace {

using Clock = std::chrono::steady_clock;

/// A pool of one worker, which does what the test says, at the times that it says.
struct Stage {
  support::PoolWithoutProcesses pool{1, PoolLayout::requeue_capacity};  // All rings are of one size.
  Deadlines deadlines{pool.exchange(), pool.layout()};
  const Clock::time_point start = Clock::now();

  /// A call that returns 7.
  ResultHandle submit(RingName name, const SupervisedTerms& terms) {
    auto note = std::make_unique<TaskNote>();
    note->tries = std::make_unique<Tries>(terms);
    const auto run = [](TaskContext& context) { context.return_inline(7); };
    ResultHandle task = *pool.try_submit(run, 0, name, std::move(note));
    static_cast<void>(deadlines.watch(task.handle(), word_of(task).ticket(), terms));
    return task;
  }
  void claim(const ResultHandle& task) {
    pool.row(0).current = Cell(word_of(task).ticket(), task.handle()).bits;
    move(task, Phase::claimed);
  }
  void run(const ResultHandle& task) {
    claim(task);
    start_claimed(task);
  }
  void start_claimed(const ResultHandle& task) { move(task, Phase::running); }
  /// Ends what runs, so that its slot is the next that is given away.
  void finish(ResultHandle task) {
    pool.slot(task).result = ResultHeader{7, sizeof(int), ResultKind::inline_value};
    move(task, Phase::done);
    REQUIRE(take_result<int>(std::move(task)) == 7);
  }
  /// As the supervisor does it when the worker is dead.
  void bury(const ResultHandle& task) { move(task, Phase::lost); }
  void tick(Clock::duration since_start) { static_cast<void>(deadlines.tick(start + since_start)); }

  [[nodiscard]] StateWord word_of(const ResultHandle& task) { return pool.slot(task).load(); }

 private:
  void move(const ResultHandle& task, Phase phase) {
    StateWord word = word_of(task);
    REQUIRE(pool.slot(task).transition(word, word.with_phase(phase).with_owner(0)));
  }
};

constexpr RingName rings[] = {RingName::requeued, RingName::high, RingName::normal, RingName::low};

}  // namespace

TEST_CASE("no two rings give the same ticket, nor one that a mailbox gives") {
  Stage stage;
  std::set<std::uint64_t> tickets{posted_bit};
  for (const RingName name : rings) tickets.insert(stage.pool.layout().ring(name).ring.next_position());
  CHECK(tickets.size() == 5);
}

TEST_CASE("a task that runs longer than its timeout is asked to stop, and condemned when its grace is over") {
  Stage stage;
  const ResultHandle task = stage.submit(RingName::normal, {.timeout = 100ms, .grace = 50ms});
  stage.run(task);
  stage.tick(0ms);
  stage.tick(99ms);
  CHECK(stage.word_of(task).phase() == Phase::running);
  CHECK_FALSE(stage.word_of(task).is_overdue());
  stage.tick(100ms);
  CHECK(stage.word_of(task).is_overdue());
  CHECK(stage.word_of(task).is_asked_to_stop());
  stage.tick(149ms);
  CHECK(stage.word_of(task).phase() == Phase::running);
  stage.tick(150ms);
  CHECK(stage.word_of(task).phase() == Phase::condemned);
  stage.bury(task);
}

TEST_CASE("a task that its worker claims and does not start for a second is recalled, and the worker condemned") {
  Stage stage;
  SupervisedTerms terms;
  SECTION("its run has a deadline") { terms.timeout = 1h; }
  SECTION("its start has a deadline") { terms.queue_timeout = 10ms; }
  const ResultHandle task = stage.submit(RingName::normal, terms);
  stage.pool.layout().lives(0).born = 3;
  stage.claim(task);
  stage.tick(0ms);
  stage.tick(999ms);
  CHECK(stage.word_of(task).phase() == Phase::claimed);
  CHECK(stage.pool.layout().lives(0).condemned == 0);
  stage.tick(1000ms);
  CHECK(stage.word_of(task).phase() == Phase::recalled);
  CHECK(stage.pool.layout().lives(0).condemned == 3);
  CHECK_FALSE(task.is_ready());
  stage.bury(task);
}

TEST_CASE("a task without a deadline waits for the worker that has claimed it, however long that is stopped") {
  Stage stage;
  const ResultHandle watched = stage.submit(RingName::normal, {.timeout = 1h});
  const ResultHandle task = stage.submit(RingName::normal, {.retries = 1});
  stage.claim(task);
  for (const auto time : {0h, 2h}) stage.tick(time);
  CHECK(stage.word_of(task).phase() == Phase::claimed);
  stage.bury(task);
  stage.claim(watched);
  stage.bury(watched);
}

TEST_CASE("the time in which this process stood still is not laid to a worker that has claimed a task") {
  Stage stage;
  const ResultHandle task = stage.submit(RingName::normal, {.timeout = 1h});
  stage.claim(task);
  stage.tick(0ms);
  static_cast<void>(stage.deadlines.until_next(stage.start, 1s));
  stage.tick(1h);
  CHECK(stage.word_of(task).phase() == Phase::claimed);
  stage.bury(task);
}

TEST_CASE("the time that a worker takes to start a task is not laid to the task") {
  Stage stage;
  const ResultHandle task = stage.submit(RingName::normal, {.timeout = 100ms, .grace = 1h});
  stage.claim(task);
  stage.tick(0ms);
  stage.tick(900ms);
  stage.start_claimed(task);
  stage.tick(904ms);
  stage.tick(1003ms);
  CHECK_FALSE(stage.word_of(task).is_overdue());
  stage.tick(1004ms);
  CHECK(stage.word_of(task).is_overdue());
  stage.bury(task);
}

TEST_CASE("the time that a task has run is not laid to the next one in its slot, whatever ring that comes from") {
  for (const RingName first : rings) {
    for (const RingName second : rings) {
      if (first == second) continue;
      Stage stage;
      ResultHandle early = stage.submit(first, {.timeout = 100ms, .grace = 50ms});
      stage.run(early);
      stage.tick(0ms);
      const Handle slot = early.handle();
      stage.finish(std::move(early));  // no tick sees the worker without a task

      ResultHandle late = stage.submit(second, {.timeout = 100ms, .grace = 50ms});
      REQUIRE(late.handle() == slot);
      stage.run(late);
      stage.tick(90ms);
      stage.tick(170ms);
      CHECK_FALSE(stage.word_of(late).is_overdue());
      CHECK(stage.word_of(late).phase() == Phase::running);
      stage.finish(std::move(late));
    }
  }
}

TEST_CASE("the time that a task might wait is not laid to the next one in its slot, whatever ring that comes from") {
  for (const RingName first : rings) {
    for (const RingName second : rings) {
      if (first == second) continue;
      Stage stage;
      ResultHandle early = stage.submit(first, {.queue_timeout = 1h});
      stage.run(early);
      const Handle slot = early.handle();
      stage.finish(std::move(early));

      ResultHandle late = stage.submit(second, {.queue_timeout = 3h});
      REQUIRE(late.handle() == slot);
      stage.tick(2h);
      CHECK(stage.word_of(late).phase() == Phase::queued);
      stage.tick(4h);
      CHECK(stage.word_of(late).phase() == Phase::lost);
      CHECK_THROWS_AS(take_result<int>(std::move(late)), QueueTimeout);
    }
  }
}

TEST_CASE("of many tasks that have waited too long a tick ends some, and the next one follows at once") {
  const SupervisedTerms terms{.queue_timeout = 1h};
  support::PoolWithoutProcesses pool(1, 4096);
  Deadlines deadlines(pool.exchange(), pool.layout());
  std::vector<ResultHandle> tasks;
  for (int i = 0; i < 3000; ++i) {
    auto note = std::make_unique<TaskNote>();
    note->tries = std::make_unique<Tries>(terms);
    tasks.push_back(*pool.try_submit([](TaskContext&) {}, 0, RingName::normal, std::move(note)));
    static_cast<void>(deadlines.watch(tasks.back().handle(), pool.slot(tasks.back()).load().ticket(), terms));
  }
  const Clock::time_point late = Clock::now() + 1h;
  for (std::ptrdiff_t ended = 0; ended != 3000;) {
    const std::ptrdiff_t before = ended;
    static_cast<void>(deadlines.tick(late));
    ended = std::count_if(tasks.begin(), tasks.end(), [](const ResultHandle& task) { return task.is_ready(); });
    REQUIRE(ended > before);
    CHECK(ended - before <= 1024);
    if (ended != 3000) CHECK(deadlines.until_next(late, 1s) == 0ns);
  }
  CHECK(deadlines.until_next(late, 1s) > 0ns);
}
