// SPDX-License-Identifier: BSL-1.0

#include <signal.h>

#include <chrono>
#include <exception>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <procpool/detail/pool/deadlines.hpp>
#include <procpool/detail/pool/repair.hpp>
#include <procpool/detail/task/chunk_header.hpp>
#include <procpool/error/worker_died.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/pool_without_processes.hpp"
#include "../../../support/refusing_operator_new.hpp"

using namespace procpool::detail;
using procpool::WorkerDied;
using support::PoolWithoutProcesses;
using support::Refusals;

namespace {

/// Calls `step()`, whose request number `refused` of operator new is refused; if it throws, `is_undone()` must hold,
/// and it is called once more. True if a request was refused.
template <class Step, class IsUndone>
bool do_with_refusal(int refused, Step step, IsUndone is_undone) {
  const int before = Refusals::count.load();
  Refusals::next = refused;
  bool is_done = false;
  try {
    step();
    is_done = true;
  } catch (const std::bad_alloc&) {
  }
  Refusals::next = -1;
  if (!is_done) {
    CHECK(is_undone());
    step();
  }
  return Refusals::count.load() != before;
}

/// A task, or a chunk of a map, whose worker dies again and again; of each death one request for memory is refused.
struct Stage {
  PoolWithoutProcesses pool{1};
  Repair repair{pool.exchange(), pool.layout()};
  int refused = 0;
  bool was_refused = false;

  [[nodiscard]] ResultHandle submit(std::unique_ptr<TaskNote> note) {
    return *pool.try_submit([](TaskContext&) {}, 0, RingName::normal, std::move(note));
  }
  void start(const ResultHandle& task, Phase phase = Phase::running) {
    StateWord word = pool.slot(task).load();
    pool.row(0).current = Cell(word.ticket(), task.handle()).bits;
    REQUIRE(pool.slot(task).transition(word, word.with_phase(phase).with_owner(0)));
  }
  void die(const ResultHandle& task) {
    pool.layout().lives(0).pid = 4711;
    const auto before = pool.slot(task).load().bits();
    const auto cell = pool.row(0).current.load();
    was_refused |= do_with_refusal(
        refused, [&] { repair.bury(0, 1, SIGKILL); },
        [&] { return pool.slot(task).load().bits() == before && pool.row(0).current == cell; });
    CHECK(pool.row(0).current == 0);
  }
};

/// Plays `play(stage)` with each request refused in turn, until none is.
template <class Play>
void with_each_refusal(Play play) {
  bool was_refused = true;
  for (int refused = 0; was_refused; ++refused) {
    CAPTURE(refused);
    Stage stage;
    stage.refused = refused;
    play(stage);
    was_refused = stage.was_refused;
    if (refused == 0) CHECK(was_refused);
  }
}

std::unique_ptr<TaskNote> note_with(const SupervisedTerms& terms) {
  auto note = std::make_unique<TaskNote>();
  note->label = "a label that is too long for a string to hold in itself";
  note->tries = std::make_unique<Tries>(terms);
  return note;
}

void check_second_death(const WorkerDied& death) {
  CHECK(death.pid() == 4711);
  CHECK(death.signal() == SIGKILL);
  CHECK(death.attempt() == 2);
  REQUIRE(death.earlier().size() == 1);
  CHECK(death.earlier()[0].attempt == 1);
}

}  // namespace

TEST_CASE("a death for which there is no memory is decided later, as it would have been at once") {
  with_each_refusal([](Stage& stage) {
    ResultHandle task = stage.submit(nullptr);
    stage.start(task);
    stage.die(task);
    CHECK_THROWS_AS(take_result<int>(std::move(task)), WorkerDied);
  });
}

TEST_CASE("a death for which there is no memory takes one try, and the last tells of those before") {
  with_each_refusal([](Stage& stage) {
    SupervisedTerms terms;
    terms.retries = 1;
    ResultHandle task = stage.submit(note_with(terms));
    stage.start(task);
    stage.die(task);
    REQUIRE(stage.pool.slot(task).load().phase() == Phase::queued);
    stage.start(task);
    stage.die(task);
    try {
      take_result<int>(std::move(task));
      FAIL("the task has a value");
    } catch (const WorkerDied& death) {
      check_second_death(death);
      CHECK(death.label() == "a label that is too long for a string to hold in itself");
    }
  });
}

TEST_CASE("a condemned task for which the ring has no space, nor the system memory, waits and takes one try") {
  with_each_refusal([](Stage& stage) {
    SupervisedTerms terms;
    terms.retries_on_timeout = 2;
    std::vector<ResultHandle> others;
    while (auto other = stage.pool.try_submit([](TaskContext&) {}, 0, RingName::requeued)) {
      others.push_back(std::move(*other));
    }
    ResultHandle task = stage.submit(note_with(terms));
    stage.start(task, Phase::condemned);
    stage.die(task);
    CHECK(stage.repair.had_waiting());
    CHECK(stage.pool.exchange().slots.note(task.handle())->tries->may_time_out());
    stage.was_refused |= do_with_refusal(
        stage.refused, [&] { stage.repair.requeue_waiting(); }, [&] { return stage.repair.had_waiting(); });
    CHECK(stage.repair.had_waiting());
    Ring& ring = stage.pool.layout().ring(RingName::requeued).ring;
    for (const ResultHandle& other : others) {
      CHECK(other.cancel());
      ring.pass(ring.head());
    }
    stage.repair.requeue_waiting();
    CHECK_FALSE(stage.repair.had_waiting());
    CHECK(stage.pool.slot(task).load().phase() == Phase::queued);
    CHECK_FALSE(task.cancel());  // It has begun.
  });
}

TEST_CASE("a cancelled task that waits for space ends when there is memory to say so") {
  with_each_refusal([](Stage& stage) {
    std::vector<ResultHandle> others;
    while (auto other = stage.pool.try_submit([](TaskContext&) {}, 0, RingName::requeued)) {
      others.push_back(std::move(*other));
    }
    std::vector<ResultHandle> tasks;
    for (int i = 0; i < 3; ++i) {
      tasks.push_back(stage.submit(note_with({})));
      stage.start(tasks.back(), Phase::claimed);
      stage.die(tasks.back());
      stage.pool.exchange().slots.note(tasks.back().handle())->is_unwanted = true;
    }
    stage.was_refused |= do_with_refusal(
        stage.refused, [&] { stage.repair.requeue_waiting(); }, [&] { return stage.repair.had_waiting(); });
    for (ResultHandle& task : tasks) CHECK_THROWS_AS(take_result<int>(std::move(task)), procpool::Cancelled);
    for (const ResultHandle& other : others) CHECK(other.cancel());
  });
}

TEST_CASE("a task in the mailbox of a worker that has left is cancelled when there is memory to say so") {
  with_each_refusal([](Stage& stage) {
    stage.pool.layout().want(0);
    ResultHandle task = stage.pool.post(
        0, [](TaskContext&) {}, 0);
    const auto before = stage.pool.slot(task).load().bits();
    stage.was_refused |= do_with_refusal(
        stage.refused, [&] { stage.repair.empty_mailbox(0); },
        [&] { return stage.pool.slot(task).load().bits() == before && stage.pool.row(0).mailbox != 0; });
    CHECK(stage.pool.row(0).mailbox == 0);
    CHECK_THROWS_AS(take_result<int>(std::move(task)), procpool::Cancelled);
  });
}

TEST_CASE("a chunk at whose death there is no memory loses the item that was in hand, and no other") {
  for (const bool has_own_result : {false, true}) {
    with_each_refusal([&](Stage& stage) {
      SupervisedTerms terms;
      terms.retries = 1;
      auto note = note_with(terms);
      note->items = 3;
      note->has_position = true;
      note->first_position = 10;
      note->has_own_result = has_own_result;
      note->results = SharedBlock(stage.pool.exchange().data, sizeof(ChunkHeader));
      auto* const header = ::new (static_cast<void*>(note->results.data())) ChunkHeader;
      ResultHandle task = stage.submit(std::move(note));
      for (int death = 0; death < 2; ++death) {
        stage.start(task);
        header->finished = 1;
        stage.die(task);
      }
      const TaskNote& left = *stage.pool.exchange().slots.note(task.handle());
      REQUIRE(left.item_losses.size() == 1);
      CHECK(left.item_losses[0].item == 1);
      CHECK(header->finished == 2);
      CHECK(stage.pool.slot(task).load().phase() == Phase::queued);
      try {
        std::rethrow_exception(left.item_losses[0].reason);
      } catch (const WorkerDied& death) {
        check_second_death(death);
        CHECK(death.position() == 11);
      }
      CHECK_FALSE(task.cancel());  // It has begun.
    });
  }
}

TEST_CASE("a deadline at which there is no memory to say so is told at a later tick") {
  using Clock = Deadlines::Clock;
  SupervisedTerms terms;
  terms.timeout = std::chrono::seconds(1);
  terms.grace = std::chrono::seconds(100);
  terms.queue_timeout = std::chrono::seconds(1);
  for (const bool is_running : {false, true}) {
    with_each_refusal([&](Stage& stage) {
      Deadlines deadlines(stage.pool.exchange(), stage.pool.layout());
      std::vector<ResultHandle> tasks;
      for (int i = 0; i < 3; ++i) {
        tasks.push_back(stage.submit(note_with(terms)));
        const ResultHandle& task = tasks.back();
        static_cast<void>(deadlines.watch(task.handle(), stage.pool.slot(task).load().ticket(), terms));
        if (is_running) break;
      }
      const Clock::time_point begin = Clock::now();
      if (is_running) stage.start(tasks[0]);
      static_cast<void>(deadlines.tick(begin));
      const int before = Refusals::count.load();
      Refusals::next = stage.refused;
      static_cast<void>(deadlines.tick(begin + std::chrono::seconds(2)));
      Refusals::next = -1;
      stage.was_refused = Refusals::count.load() != before;
      const Clock::time_point late = begin + std::chrono::seconds(2);
      CHECK(deadlines.until_next(late, std::chrono::seconds(1)) > std::chrono::seconds::zero());  // It does not spin.
      static_cast<void>(deadlines.tick(late));
      for (ResultHandle& task : tasks) {
        if (is_running) CHECK_THROWS_AS(take_result<int>(std::move(task)), procpool::TaskTimeout);
        else CHECK_THROWS_AS(take_result<int>(std::move(task)), procpool::QueueTimeout);
      }
      if (is_running) stage.repair.bury(0, 1, SIGKILL);
    });
  }
}
