// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/detail/pool/deadlines.hpp>
#include <procpool/detail/pool/repair.hpp>
#include <procpool/detail/pool/ring_walk.hpp>
#include <procpool/detail/task/chunk_header.hpp>
#include <procpool/detail/task/local_task.hpp>
#include <procpool/error/worker_died.hpp>

#include "../../../support/address_space.hpp"
#include "../../../support/catch.hpp"
#include "../../../support/fake_root.hpp"
#include "../../../support/in_child.hpp"
#include "../../../support/pool_without_processes.hpp"

using namespace procpool::detail;
using procpool::WorkerDied;
using support::PoolWithoutProcesses;

namespace {

constexpr int killed = SIGKILL;        // as waitpid(2) tells it
constexpr int exited_with_3 = 3 << 8;  // as above
constexpr int left_in_order = 0;       // as above
constexpr std::size_t all = SIZE_MAX;

int runs = 0;

/// Counts that it ran, and returns its argument.
void run_once(TaskContext& context) {
  ++runs;
  context.return_inline(support::argument_of<int>(context));
}

/// A pool of two workers. The test does what worker 0 does, step by step, until it dies; worker 1 does the rest.
struct Stage {
  PoolWithoutProcesses pool;
  Repair repair{pool.exchange(), pool.layout()};
  Row& row = pool.row(0);

  explicit Stage(std::size_t queue_capacity = 1024) : pool(2, queue_capacity) {
    runs = 0;
    row.ready = 1;
  }

  /// The step of the worker that names the task, is about to claim it.
  void name(const ResultHandle& task) { row.current = Cell(pool.slot(task).load().ticket(), task.handle()).bits; }
  void claim(const ResultHandle& task) {
    name(task);
    move(task, Phase::claimed);
  }
  void start(const ResultHandle& task) {
    claim(task);
    move(task, Phase::running);
  }
  void finish(const ResultHandle& task) {
    start(task);
    pool.slot(task).result = ResultHeader{7, sizeof(int), ResultKind::inline_value};
    move(task, Phase::done);
  }
  void move(const ResultHandle& task, Phase phase) {
    StateWord word = pool.slot(task).load();
    REQUIRE(pool.slot(task).transition(word, word.with_phase(phase).with_owner(0)));
  }

  /// No task is in hand; the cells lead to none.
  void fill_ring_of_requeued() {
    Ring& ring = pool.layout().ring(RingName::requeued).ring;
    while (!ring.was_full()) ring.publish(0);
  }

  void die(int status = killed) {
    pool.layout().lives(0).pid = 4711;
    repair.bury(0, 1, status);
  }

  /// Worker 1 runs everything that waits.
  void run_rest() {
    pool.stop();
    pool.serve(1, 2);
  }

  [[nodiscard]] bool is_idle() {
    return !walk_to_live_head(pool.layout().ring(RingName::normal).ring, pool.exchange().slots);
  }
};

/// The int that the task returned.
int value_of_task(ResultHandle task) {
  REQUIRE(task.is_ready());
  return take_result<int>(std::move(task));
}

std::unique_ptr<TaskNote> note_of(const SupervisedTerms& terms) {
  auto note = std::make_unique<TaskNote>();
  note->tries = std::make_unique<Tries>(terms);
  return note;
}

/// What the future of a task that was cancelled says.
std::string text_of_cancellation(ResultHandle task) {
  try {
    static_cast<void>(take_result<int>(std::move(task)));
  } catch (const procpool::Cancelled& cancelled) {
    return cancelled.what();
  }
  throw std::logic_error("the task has a value");
}

/// How the task's worker died.
WorkerDied death_of(ResultHandle task) {
  REQUIRE(task.is_ready());
  try {
    static_cast<void>(take_result<int>(std::move(task)));
  } catch (const WorkerDied& death) {
    return death;
  }
  throw std::logic_error("the task has a value");
}

}  // namespace

TEST_CASE("a task that was killed while it ran is cancelled, and has not failed") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  if (GENERATE(true, false)) stage.start(task);
  else stage.claim(task);
  task.kill();
  REQUIRE(stage.pool.slot(task).load().phase() == Phase::condemned);
  stage.die();
  REQUIRE(task.is_ready());
  CHECK_FALSE(task.has_failed());
  CHECK_FALSE(task.cancel());  // It may have run.
  SECTION("its future says why") {
    CHECK(text_of_cancellation(std::move(task)) ==
          "the task was cancelled while a worker had it, which was killed and replaced");
  }
  SECTION("its future is dropped") {
    { const ResultHandle dropped = std::move(task); }
    CHECK(stage.pool.exchange().past_failures() == 0);
    CHECK(stage.pool.exchange().dropped_failures() == 0);
  }
}

TEST_CASE("a task that a deadline condemned, and that is only cancelled then, does not tell of a kill() by its owner") {
  Stage stage;
  SupervisedTerms terms;
  terms.timeout = std::chrono::hours(1);
  terms.retries_on_timeout = 1;
  ResultHandle task = *stage.pool.try_submit(run_once, 5, RingName::normal, note_of(terms));
  Deadlines deadlines{stage.pool.exchange(), stage.pool.layout()};
  const Deadlines::Clock::time_point begin = Deadlines::Clock::now();
  static_cast<void>(deadlines.watch(task.handle(), stage.pool.slot(task).load().ticket(), terms));
  stage.start(task);
  for (const int hours : {0, 2, 4}) static_cast<void>(deadlines.tick(begin + std::chrono::hours(hours)));
  REQUIRE(stage.pool.slot(task).load().phase() == Phase::condemned);
  CHECK_FALSE(task.cancel());
  stage.die();
  REQUIRE(task.is_ready());
  CHECK_FALSE(task.has_failed());
  CHECK(text_of_cancellation(std::move(task)) ==
        "the task was cancelled while a worker had it, which was killed and replaced");
}

TEST_CASE("a kill returns though a wild write says that the task is in hand, and of no worker") {
  for (const Phase phase : {Phase::claimed, Phase::recalled, Phase::running, Phase::condemned}) {
    Stage stage;
    ResultHandle task = stage.pool.submit(run_once, 5);
    stage.pool.slot(task).state = stage.pool.slot(task).load().with_phase(phase).bits();
    task.kill();
    stage.repair.look_for_strays(all);
    CHECK(task.is_ready());
    CHECK_THROWS_AS(take_result<int>(std::move(task)), procpool::SerializationError);
  }
}

TEST_CASE("a kill of a task that was condemned already changes its word, so that whoever would try it again sees it") {
  Stage stage;
  SupervisedTerms terms;
  terms.retries_on_timeout = 1;
  ResultHandle task = *stage.pool.try_submit(run_once, 5, RingName::normal, note_of(terms));
  stage.start(task);
  StateWord word = stage.pool.slot(task).load();
  REQUIRE(stage.pool.slot(task).transition(word, word.with_phase(Phase::condemned).with_stop()));
  for (int i = 0; i < 5; ++i) {  // More often than requeues are counted.
    const StateWord before = stage.pool.slot(task).load();
    task.kill();
    const StateWord after = stage.pool.slot(task).load();
    CHECK(after.bits() != before.bits());
    CHECK(after.with_requeues(0).bits() == before.with_requeues(0).bits());
  }
  stage.die();
  REQUIRE(task.is_ready());
  CHECK(task.was_cancelled());
  stage.run_rest();
  CHECK(runs == 0);
}

TEST_CASE("a task that is cancelled while it waits for space in the ring has not failed, as one that lies there") {
  Stage stage;
  SupervisedTerms terms;
  terms.retries = 1;
  ResultHandle task = *stage.pool.try_submit(run_once, 5, RingName::normal, note_of(terms));
  const bool has_begun = GENERATE(false, true);
  stage.fill_ring_of_requeued();
  if (has_begun) stage.start(task);
  else stage.claim(task);
  stage.die();
  REQUIRE(stage.repair.had_waiting());
  SECTION("by cancel()") { CHECK_FALSE(task.cancel()); }
  SECTION("by kill()") { task.kill(); }
  stage.repair.requeue_waiting();
  REQUIRE(task.is_ready());
  CHECK_FALSE(task.has_failed());
  CHECK(task.cancel() == !has_begun);
  CHECK(text_of_cancellation(std::move(task)) ==
        (has_begun ? "the task was cancelled before it was tried again" : "the task was cancelled before it ran"));
  CHECK_FALSE(stage.repair.had_waiting());
  stage.run_rest();
  CHECK(runs == 0);
}

TEST_CASE("a task that is killed while it comes to wait for space in the ring never runs") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.claim(task);
  stage.fill_ring_of_requeued();
  const StateWord seen_by_killer = stage.pool.slot(task).load();
  stage.die();
  REQUIRE(stage.repair.had_waiting());
  CHECK_FALSE(stage.pool.exchange().condemn(task.handle(), seen_by_killer));  // No worker is to be killed for it.
  REQUIRE(stage.pool.slot(task).load().is_out_of_ring());
  task.kill();
  stage.repair.requeue_waiting();
  REQUIRE(task.is_ready());
  CHECK(task.was_cancelled());
  stage.run_rest();
  CHECK(runs == 0);
}

TEST_CASE("a task without a note that is cancelled while it waits for space in the ring never runs") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  ResultHandle other = stage.pool.submit(run_once, 6);
  stage.claim(task);
  stage.fill_ring_of_requeued();
  stage.die();
  REQUIRE(stage.repair.had_waiting());
  REQUIRE(stage.pool.exchange().slots.note(task.handle()) == nullptr);
  CHECK_FALSE(task.cancel());  // It is about to be queued again, for all that the caller can know.
  const bool has_space = GENERATE(false, true);
  if (has_space) {
    stage.run_rest();
    CHECK(value_of_task(std::move(other)) == 6);
  }
  stage.repair.requeue_waiting();
  REQUIRE(task.is_ready());
  CHECK(text_of_cancellation(std::move(task)) == "the task was cancelled before it ran");
  stage.run_rest();
  CHECK(runs == 1);
}

TEST_CASE("when all that waits is cancelled, so is what waits for space in the ring, and nothing that a worker has") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  ResultHandle queued = stage.pool.submit(run_once, 6);
  ResultHandle claimed = stage.pool.submit(run_once, 7);
  stage.claim(task);
  stage.fill_ring_of_requeued();
  stage.die();
  REQUIRE(stage.repair.had_waiting());
  stage.claim(claimed);
  stage.pool.exchange().cancel_pending();
  CHECK(queued.is_ready());
  stage.repair.requeue_waiting();
  CHECK_FALSE(stage.repair.had_waiting());
  for (ResultHandle* each : {&task, &queued}) {
    REQUIRE(each->is_ready());
    CHECK_FALSE(each->has_failed());
    CHECK(text_of_cancellation(std::move(*each)) == "the task was cancelled before it ran");
  }
  CHECK_FALSE(stage.pool.slot(claimed).load().is_asked_to_stop());
  stage.run_rest();
  CHECK(runs == 0);
  stage.move(claimed, Phase::done);
}

TEST_CASE("a task for one worker alone whose call has ended is not put back, where the next call's would replace it") {
  Stage stage;
  ResultHandle early = stage.pool.post(0, run_once, 5);
  stage.claim(early);
  stage.row.mailbox = 0;
  SECTION("it is dropped afterwards") {}
  SECTION("it has a note") { stage.pool.exchange().slots.make_note(early.handle()); }
  CHECK_FALSE(early.cancel());
  stage.die();
  REQUIRE(early.is_ready());
  ResultHandle late = stage.pool.post(0, run_once, 6);
  stage.repair.look_for_strays(all);
  CHECK(text_of_cancellation(std::move(early)) ==
        "the call that sent this task to one worker alone has ended before it ran");
  stage.pool.stop();
  stage.pool.serve(0, 2);
  CHECK(value_of_task(std::move(late)) == 6);
  CHECK(runs == 1);
  CHECK(stage.pool.exchange().past_failures() == 0);
}

TEST_CASE("a task for one worker alone that is tried again after its timeout goes back to that worker") {
  Stage stage;
  ResultHandle task = stage.pool.post(0, run_once, 5);
  SupervisedTerms terms;
  terms.retries_on_timeout = 1;
  stage.pool.exchange().slots.set_note(task.handle(), note_of(terms));
  stage.start(task);
  stage.row.mailbox = 0;
  StateWord word = stage.pool.slot(task).load();
  REQUIRE(stage.pool.slot(task).transition(word, word.with_stop()));
  stage.move(task, Phase::condemned);
  stage.die();
  REQUIRE_FALSE(task.is_ready());
  CHECK_FALSE(stage.pool.slot(task).load().is_asked_to_stop());
  stage.pool.stop();
  stage.pool.serve(0, 2);
  CHECK(value_of_task(std::move(task)) == 5);
}

TEST_CASE("a task that waits for a worker which has left for good is cancelled, and says so") {
  Stage stage;
  ResultHandle task = stage.pool.post(1, run_once, 5);
  stage.pool.layout().want(1);
  stage.repair.empty_mailbox(1);
  REQUIRE(task.is_ready());
  CHECK_FALSE(task.has_failed());
  CHECK(text_of_cancellation(std::move(task)) == "the worker for which alone this task was has left");
}

TEST_CASE("a worker that died before it claimed the task that it names leaves the task to others") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.name(task);
  stage.die();
  CHECK(stage.row.current == 0);
  stage.run_rest();
  CHECK(value_of_task(std::move(task)) == 5);
  CHECK(runs == 1);
}

TEST_CASE("a task that was claimed and not started runs elsewhere, whether its cell was passed or not") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  ResultHandle next = stage.pool.submit(run_once, 6);
  stage.claim(task);
  SECTION("not passed") {}
  SECTION("passed") { stage.pool.layout().ring(RingName::normal).ring.pass(stage.pool.slot(task).load().ticket()); }
  stage.die();
  CHECK(stage.pool.slot(task).load().phase() == Phase::queued);
  CHECK(stage.pool.slot(task).load().requeues() == 1);
  CHECK(stage.repair.moves().seen() == 1);
  stage.run_rest();
  CHECK(value_of_task(std::move(task)) == 5);
  CHECK(value_of_task(std::move(next)) == 6);
  CHECK(runs == 2);
}

TEST_CASE("flags that were set on a task stay when it is queued again") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.claim(task);
  CHECK_FALSE(task.cancel());
  set_flag(stage.pool.slot(task), [](StateWord seen) { return seen.with_waiting().with_notify(); });
  stage.die();
  const StateWord word = stage.pool.slot(task).load();
  CHECK(word.is_asked_to_stop());
  CHECK(word.is_waited_for());
  CHECK(word.is_watched());
  CHECK(task.cancel());
}

TEST_CASE("a task whose workers die four times before it starts is lost") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  for (int death = 0; death < 3; ++death) {
    stage.claim(task);
    stage.die();
    REQUIRE(stage.pool.slot(task).load().phase() == Phase::queued);
  }
  stage.claim(task);
  stage.die();
  CHECK(death_of(std::move(task)).signal() == SIGKILL);
}

TEST_CASE("a running task is lost, with the pid of its worker and how it ended") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.start(task);
  SECTION("by a signal") {
    stage.die();
    const WorkerDied death = death_of(std::move(task));
    CHECK(death.pid() == 4711);
    CHECK(death.signal() == SIGKILL);
    CHECK(death.exit_status() == -1);
    CHECK(death.label().empty());
    CHECK_FALSE(death.position());
  }
  SECTION("by an exit") {
    stage.die(exited_with_3);
    const WorkerDied death = death_of(std::move(task));
    CHECK(death.signal() == 0);
    CHECK(death.exit_status() == 3);
  }
  SECTION("by an exit with status 0") {
    stage.die(left_in_order);
    CHECK(death_of(std::move(task)).exit_status() == 0);
  }
  CHECK(runs == 0);
}

TEST_CASE("a worker that dies while it holds the mutex of its slot loses its task alone") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.start(task);
  std::thread([&] { static_cast<void>(stage.pool.slot(task).mutex.lock_reporting()); }).join();
  stage.die();
  const Handle handle = task.handle();
  CHECK(death_of(std::move(task)).signal() == SIGKILL);
  ResultHandle next = stage.pool.submit(run_once, 6);
  REQUIRE(next.handle() == handle);
  stage.run_rest();
  CHECK(value_of_task(std::move(next)) == 6);
}

TEST_CASE("a task that has ended stays so, and those whom its worker did not tell are told") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  class Told final : public Watcher {
   public:
    int count = 0;
    void ended(Handle) noexcept override { ++count; }
  } watcher;
  stage.pool.exchange().hub.watch(task.handle(), watcher);
  stage.finish(task);
  CHECK(watcher.count == 0);
  stage.die();
  CHECK(watcher.count == 1);
  CHECK(value_of_task(std::move(task)) == 7);
}

TEST_CASE("a task in a mailbox runs in that worker's next life, and nowhere else") {
  Stage stage;
  ResultHandle task = stage.pool.post(0, run_once, 5);
  SECTION("it was not claimed") {}
  SECTION("it was claimed, and stands in the mailbox still") { stage.claim(task); }
  SECTION("it was claimed and taken out") {
    stage.claim(task);
    stage.row.mailbox = 0;
  }
  stage.die();
  stage.run_rest();
  CHECK(runs == 0);
  CHECK_FALSE(task.is_ready());
  stage.pool.serve(0, 3);
  CHECK(value_of_task(std::move(task)) == 5);
}

TEST_CASE("a task of a ring that has counted very far is queued again, not put into a mailbox") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  const StateWord word = stage.pool.slot(task).load();
  stage.pool.slot(task).store(word.with_ticket(posted_bit + 5));
  stage.claim(task);
  stage.die();
  CHECK(stage.row.mailbox == 0);
  stage.run_rest();
  CHECK(value_of_task(std::move(task)) == 5);
  CHECK(runs == 1);
}

TEST_CASE("more tasks than the ring for them holds are queued again in time") {
  constexpr int count = 5000;
  Stage stage;
  std::vector<ResultHandle> tasks;
  for (int i = 0; i < count; ++i) {
    tasks.push_back(stage.pool.submit(run_once, i));
    stage.claim(tasks.back());
    stage.pool.layout().ring(RingName::normal).ring.pass(stage.pool.slot(tasks.back()).load().ticket());
    stage.die();
  }
  CHECK(stage.repair.had_waiting());
  stage.run_rest();
  CHECK(runs == static_cast<int>(PoolLayout::requeue_capacity));
  stage.repair.look_for_strays(all);
  CHECK(stage.repair.had_waiting());
  stage.repair.requeue_waiting();
  CHECK_FALSE(stage.repair.had_waiting());
  stage.run_rest();
  CHECK(runs == count);
  for (int i = 0; i < count; ++i) CHECK(value_of_task(std::move(tasks[static_cast<std::size_t>(i)])) == i);
}

TEST_CASE("the block that a dead worker was filling comes back, one that it published does not") {
  Stage stage;
  OutboxWriter writer(stage.pool.exchange().outbox, 1, stage.row.filling);
  const std::size_t bytes = GENERATE(std::size_t{100}, 3 * Outbox::smallest_extent);
  const std::size_t extents = stage.pool.exchange().outbox.count();
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.start(task);
  std::byte* const block = writer.allocate(bytes);
  SECTION("it was filling") {
    stage.die();
    CHECK(stage.pool.free_extents() == extents);
  }
  SECTION("it had published the task, and said nothing yet about the block") {
    stage.pool.slot(task).result =
        ResultHeader{std::bit_cast<std::uint64_t>(block), bytes & ResultHeader::largest_size, ResultKind::value};
    stage.move(task, Phase::done);
    stage.die();
    CHECK(stage.pool.free_extents() < extents);
    const RawResult result = task.read();
    CHECK(result.bytes.data() == block);
    task.give_back(result);
    CHECK(stage.pool.free_extents() == extents);
  }
}

namespace {

/// A chunk of three items whose results are blocks, as a worker has left it in the middle of the second.
struct ChunkStage : Stage {
  OutboxWriter writer{pool.exchange().outbox, 1, row.filling};
  std::optional<ResultHandle> task;
  ChunkHeader* header = nullptr;
  ItemBlock* blocks = nullptr;

  explicit ChunkStage(std::size_t items = 3) {
    auto note = std::make_unique<TaskNote>();
    note->items = items;
    note->has_item_blocks = true;
    note->has_position = true;
    note->first_position = 10;
    note->label = "a label";
    note->results = SharedBlock(pool.exchange().data, sizeof(ChunkHeader) + items * sizeof(ItemBlock));
    header = ::new (static_cast<void*>(note->results.data())) ChunkHeader;
    blocks = reinterpret_cast<ItemBlock*>(header + 1);
    std::memset(static_cast<void*>(blocks), 0, items * sizeof(ItemBlock));
    task = pool.try_submit(run_once, 5, RingName::normal, std::move(note));
    start(*task);
    store_block(0);
    header->finished = 1;
    writer.published();
  }

  void store_block(std::size_t item) {
    blocks[item] = {std::bit_cast<std::uint64_t>(writer.allocate(100, static_cast<std::uint32_t>(item))), 100};
  }
  void link_failure(std::size_t item) {
    std::byte* const at = writer.allocate(sizeof(FailureRecord), static_cast<std::uint32_t>(item));
    const FailureRecord record{item, header->failures.load(), 0, header->failed.load() + 1};
    std::memcpy(at, &record, sizeof record);
    header->failures = std::bit_cast<std::uint64_t>(at);
  }

  /// The chunk is given back as a collector does it: then nothing of it may be left in the outbox.
  void give_back() {
    StateWord word = pool.slot(*task).load();
    if (!word.is_final()) pool.slot(*task).transition(word, word.with_phase(Phase::done));
    task->give_back(task->read());
    repair.bury(0, 1, killed);
    CHECK(pool.free_extents() == pool.exchange().outbox.count());
  }
};

}  // namespace

TEST_CASE("of a chunk the item at which the worker died is lost, and the rest is queued again") {
  ChunkStage stage;
  std::size_t lost = 1;
  SECTION("nothing of the item was there") {}
  SECTION("its block was handed out") { static_cast<void>(stage.writer.allocate(100, 1)); }
  SECTION("its block was stored") { stage.store_block(1); }
  SECTION("its failure was linked") { stage.link_failure(1); }
  SECTION("its failure was linked and counted") {
    stage.link_failure(1);
    stage.header->failed = 1;
  }
  SECTION("it was finished, and nothing was said yet about its block") {
    stage.store_block(1);
    stage.header->finished = 2;
    lost = 2;
  }
  std::size_t failed = 0;
  SECTION("its failure was finished, and nothing was said yet about its block") {
    stage.link_failure(1);
    stage.header->failed = failed = 1;
    stage.header->finished = 2;
    lost = 2;
  }
  stage.die();
  const TaskNote& note = *stage.pool.exchange().slots.note(stage.task->handle());
  REQUIRE(note.item_losses.size() == 1);
  CHECK(note.item_losses[0].item == lost);
  try {
    std::rethrow_exception(note.item_losses[0].reason);
  } catch (const WorkerDied& death) {
    CHECK(death.position() == 10 + lost);
    CHECK(death.label() == "a label");
    CHECK(death.signal() == SIGKILL);
  }
  CHECK(stage.header->finished == lost + 1);
  CHECK(stage.header->failed == failed);
  CHECK((stage.header->failures != 0) == (failed != 0));
  CHECK(stage.blocks[0].address != 0);
  if (lost < 3) CHECK(stage.blocks[lost].address == 0);
  CHECK(stage.pool.slot(*stage.task).load().phase() == (lost == 2 ? Phase::done : Phase::queued));
  stage.give_back();
}

TEST_CASE("the block of an item whose worker died comes back once, though the item is tried again and throws then") {
  ChunkStage stage;
  SupervisedTerms terms;
  const bool is_condemned = GENERATE(false, true);
  (is_condemned ? terms.retries_on_timeout : terms.retries) = 1;
  stage.pool.exchange().slots.note(stage.task->handle())->tries = std::make_unique<Tries>(terms);
  stage.store_block(1);
  if (is_condemned) stage.move(*stage.task, Phase::condemned);
  stage.die();
  REQUIRE(stage.pool.slot(*stage.task).load().phase() == Phase::queued);
  CHECK(stage.blocks[1].address == 0);
  std::byte* const anothers = stage.writer.allocate(100);  // in the place of the first
  stage.start(*stage.task);
  stage.link_failure(1);
  stage.header->failed = 1;
  stage.header->finished = 2;
  stage.writer.published();
  StateWord word = stage.pool.slot(*stage.task).load();
  REQUIRE(stage.pool.slot(*stage.task).transition(word, word.with_phase(Phase::done)));
  stage.task->give_back(stage.task->read());
  CHECK(stage.pool.free_extents() < stage.pool.exchange().outbox.count());
  stage.pool.exchange().outbox.give_back(anothers);
  stage.die();
  CHECK(stage.pool.free_extents() == stage.pool.exchange().outbox.count());
}

TEST_CASE("a chunk keeps what was finished when its next worker dies before it starts, however often") {
  ChunkStage stage;
  stage.die();
  for (int death = 0; death < 3; ++death) {
    stage.claim(*stage.task);
    stage.die();
  }
  CHECK(stage.header->finished == 2);
  stage.claim(*stage.task);
  stage.die();
  CHECK(stage.header->finished == 3);
  const TaskNote& note = *stage.pool.exchange().slots.note(stage.task->handle());
  REQUIRE(note.item_losses.size() == 2);
  CHECK(note.item_losses[0].item == 1);
  CHECK(note.item_losses[1].item == 2);
  CHECK(stage.blocks[0].address != 0);
  stage.give_back();
}

TEST_CASE("a chunk whose items ruin the count of finished ones, and die, ends all the same") {
  ChunkStage stage;
  TaskNote& note = *stage.pool.exchange().slots.note(stage.task->handle());
  std::size_t most_deaths = 3;
  SECTION("each dies once") {}
  SECTION("each may be tried again") {
    SupervisedTerms terms;
    terms.retries = 2;
    note.tries = std::make_unique<Tries>(terms);
    most_deaths = 9;
  }
  std::size_t deaths = 0;
  for (; deaths < 100 && stage.pool.slot(*stage.task).load().phase() != Phase::done; ++deaths) {
    if (deaths > 0) stage.start(*stage.task);
    stage.header->finished = deaths % 2;
    stage.die();
  }
  CHECK(deaths <= most_deaths);
  REQUIRE(note.item_losses.size() >= 2);
  for (std::size_t i = 1; i < note.item_losses.size(); ++i) {
    CHECK(note.item_losses[i].item > note.item_losses[i - 1].item);
  }
}

TEST_CASE("of a chunk whose count of finished items was ruined to more than there are, no item passes for finished") {
  ChunkStage stage;
  if (GENERATE(false, true)) {
    SupervisedTerms terms;
    terms.retries = 2;
    stage.pool.exchange().slots.note(stage.task->handle())->tries = std::make_unique<Tries>(terms);
  }
  stage.header->finished = 4;
  stage.die();
  REQUIRE(stage.pool.slot(*stage.task).load().phase() == Phase::lost);
  const std::exception_ptr failure = stage.task->read().failure;
  REQUIRE(failure != nullptr);
  try {
    std::rethrow_exception(failure);
  } catch (const procpool::WorkerDied& death) {
    CHECK(death.label() == "a label");
    CHECK_FALSE(death.position().has_value());
  }
  stage.give_back();
}

TEST_CASE("a chunk that ran too long is not tried again if its count of finished items was ruined") {
  ChunkStage stage;
  SupervisedTerms terms;
  terms.retries_on_timeout = 2;
  stage.pool.exchange().slots.note(stage.task->handle())->tries = std::make_unique<Tries>(terms);
  REQUIRE(stage.pool.exchange().condemn(stage.task->handle(), stage.pool.slot(*stage.task).load()));
  SECTION("it was") {
    stage.header->finished = 4;
    stage.die();
    REQUIRE(stage.pool.slot(*stage.task).load().phase() == Phase::lost);
    const std::exception_ptr failure = stage.task->read().failure;
    REQUIRE(failure != nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(failure), procpool::SerializationError);
  }
  SECTION("it was not") {
    stage.die();
    CHECK(stage.pool.slot(*stage.task).load().phase() == Phase::queued);
  }
  stage.give_back();
}

TEST_CASE("the block of a whole chunk's result comes back too") {
  ChunkStage stage;
  stage.header->finished = 3;
  static_cast<void>(stage.writer.allocate(100));
  stage.die();
  CHECK(stage.pool.slot(*stage.task).load().phase() == Phase::done);
  stage.give_back();
}

TEST_CASE("a dead worker's task is found though a wild write has ruined its row") {
  Stage stage;
  ResultHandle other = stage.pool.submit(run_once, 4);
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.start(task);
  SECTION("to nothing") { stage.row.current = 0; }
  SECTION("to a slot that is not there") { stage.row.current = ~std::uint64_t{0}; }
  SECTION("to another task") { stage.row.current = Cell(stage.pool.slot(other).load().ticket(), other.handle()).bits; }
  stage.row.filling = ~std::uint64_t{0};
  stage.die();
  CHECK(death_of(std::move(task)).signal() == SIGKILL);
  stage.run_rest();
  CHECK(value_of_task(std::move(other)) == 4);
}

TEST_CASE("the death of a worker that has no task looks at no slot, however many there are") {
  Stage stage(100'000);
  std::vector<ResultHandle> tasks;
  for (int i = 0; i < 100'000; ++i) tasks.push_back(stage.pool.submit(run_once, i));
  SECTION("it looked for work") { stage.pool.layout().presence.start_looking(0); }
  SECTION("it slept") { stage.pool.layout().presence.fall_asleep(0); }
  SECTION("it was not ready") { stage.row.ready = 0; }
  CHECK(true_in_child([&] {
    constexpr std::uintptr_t page = 4096;
    const auto begin = (reinterpret_cast<std::uintptr_t>(&stage.pool.slot(tasks.front())) + page - 1) / page * page;
    const auto end = reinterpret_cast<std::uintptr_t>(&stage.pool.slot(tasks.back())) / page * page;
    if (::mprotect(reinterpret_cast<void*>(begin), end - begin, PROT_NONE) != 0) return false;
    stage.die();  // of a look at one of them
    return true;
  }));
  for (const ResultHandle& task : tasks) CHECK(task.cancel());
}

TEST_CASE("a worker killed for want of memory that had begun no task takes its kill, so no later one is told as that") {
  support::FakeRoot machine;
  machine.write("/proc/vmstat", "oom_kill 7\n");
  Stage stage;
  stage.repair.watch_memory(machine.path());
  machine.write("/proc/vmstat", "oom_kill 8\n");
  ResultHandle task = stage.pool.submit(run_once, 5);
  bool is_told = false;
  SECTION("it was idle") { stage.pool.layout().presence.start_looking(0); }
  SECTION("it was not ready") { stage.row.ready = 0; }
  SECTION("it had claimed a task") { stage.claim(task); }
  SECTION("it had begun one") {
    ResultHandle first = stage.pool.submit(run_once, 4);
    stage.start(first);
    stage.die();
    CHECK(death_of(std::move(first)).out_of_memory());
    is_told = true;
  }
  if (!is_told) stage.die();
  stage.row.ready = 1;
  stage.start(task);
  stage.die();
  CHECK_FALSE(death_of(std::move(task)).out_of_memory());
}

TEST_CASE("the task of a worker that a wild write has made look idle is a stray once its next life is idle") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.start(task);
  stage.row.current = 0;
  stage.pool.layout().presence.start_looking(0);
  stage.die();
  CHECK_FALSE(task.is_ready());
  stage.pool.layout().presence.start_looking(0);
  static_cast<void>(stage.repair.look_for_strays(all));
  CHECK_THROWS_AS(take_result<int>(std::move(task)), procpool::SerializationError);
}

TEST_CASE("the time that burials take counts for deadlines, unlike that in which the process stood still") {
  using std::chrono::seconds;
  for (const bool was_busy : {false, true}) {
    Stage stage;
    SupervisedTerms terms;
    terms.timeout = seconds(1);
    terms.grace = seconds(100);
    ResultHandle task = *stage.pool.try_submit(run_once, 5, RingName::normal, note_of(terms));
    Deadlines deadlines(stage.pool.exchange(), stage.pool.layout());
    static_cast<void>(deadlines.watch(task.handle(), stage.pool.slot(task).load().ticket(), terms));
    stage.start(task);
    const auto begin = Deadlines::Clock::now();
    static_cast<void>(deadlines.tick(begin));
    static_cast<void>(deadlines.until_next(begin, seconds(1)));
    CHECK_FALSE(deadlines.is_due(begin));
    CHECK(deadlines.is_due(begin + seconds(2)));
    if (was_busy) deadlines.was_busy_until(begin + seconds(2));
    static_cast<void>(deadlines.tick(begin + seconds(2)));
    CHECK(task.is_ready() == was_busy);
    stage.die();
  }
}

TEST_CASE("a task in the mailbox of a worker that has left is cancelled, or ended by whoever else does so meanwhile") {
  CHECK(true_in_child([] {
    Stage stage;
    stage.pool.layout().want(1);
    std::atomic<int> round{0};
    std::atomic<int> rounds_cancelled{0};
    constexpr int rounds = support::is_sanitized ? 3'000 : 60'000;
    std::thread canceller([&] {
      for (int i = 1; i <= rounds; ++i) {
        while (round != i) std::this_thread::yield();
        stage.pool.exchange().cancel_pending();
        stage.pool.exchange().sweep(all);
        rounds_cancelled = i;
      }
    });
    for (int i = 1; i <= rounds; ++i) {
      {
        const ResultHandle dropped = stage.pool.post(1, run_once, i);
      }
      round = i;
      stage.repair.empty_mailbox(1);
      while (rounds_cancelled != i) std::this_thread::yield();
      stage.pool.exchange().sweep(all);
      if (stage.pool.row(1).mailbox != 0 || stage.pool.exchange().slots.was_in_use(0)) ::_exit(2);
    }
    canceller.join();
    return true;
  }));
}

TEST_CASE("a waiting task whose cell was ruined ends, and those behind it run") {
  for (const std::uint64_t wild :
       {std::uint64_t{0}, ~std::uint64_t{0}, Cell(0x7FFFFFFFFF, 3).bits, Cell(1025, 0xFFFFFF).bits, Cell(1, 1).bits}) {
    Stage stage;
    std::vector<ResultHandle> tasks;
    for (int i = 0; i < 5; ++i) tasks.push_back(stage.pool.submit(run_once, i));
    auto* const cells = reinterpret_cast<Ring::Word*>(stage.pool.exchange().ring_part());
    const std::uint64_t ticket = stage.pool.slot(tasks[1]).load().ticket();
    for (std::size_t i = 0; i < PoolLayout::requeue_capacity + 3 * 1024; ++i) {
      if (cells[i].load() == Cell(ticket, tasks[1].handle()).bits) cells[i] = wild;
    }
    stage.run_rest();
    static_cast<void>(stage.is_idle());  // A tick of the supervisor walks over the ruin.
    stage.repair.look_for_strays(all);
    stage.run_rest();
    CHECK_THROWS_AS(take_result<int>(std::move(tasks[1])), procpool::SerializationError);
    for (const int i : {0, 2, 3, 4}) CHECK(value_of_task(std::move(tasks[static_cast<std::size_t>(i)])) == i);
    CHECK(runs == 4);
  }
}

TEST_CASE("tasks before a ring's ruined head run all the same") {
  for (const std::uint64_t wild : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1024 + 3}, std::uint64_t{99}}) {
    Stage stage;
    std::vector<ResultHandle> tasks;
    for (int i = 0; i < 5; ++i) tasks.push_back(stage.pool.submit(run_once, i));
    Ring& ring = stage.pool.layout().ring(RingName::normal).ring;
    const auto* const words = reinterpret_cast<std::byte*>(&stage.pool.layout().words() + 1);
    auto& head = *reinterpret_cast<Ring::Word*>(const_cast<std::byte*>(words) +
                                                static_cast<std::size_t>(RingName::normal) * sizeof(RingWords));
    REQUIRE(head.load() == ring.head());
    head = wild;
    static_cast<void>(stage.is_idle());
    stage.repair.look_for_strays(all);
    stage.run_rest();
    for (int i = 0; i < 5; ++i) CHECK(value_of_task(std::move(tasks[static_cast<std::size_t>(i)])) == i);
    CHECK(runs == 5);
  }
}

TEST_CASE("a search for strays changes nothing where nothing was ruined") {
  Stage stage;
  std::vector<ResultHandle> tasks;
  for (int i = 0; i < 6; ++i) tasks.push_back(stage.pool.submit(run_once, i));
  ResultHandle posted = stage.pool.post(1, run_once, 9);
  tasks[1].cancel();
  stage.finish(tasks[2]);
  stage.claim(tasks[0]);
  std::vector<std::uint64_t> before;
  for (Handle handle = 0; handle < stage.pool.exchange().slots.was_used(); ++handle) {
    before.push_back(stage.pool.exchange().slots[handle].load().bits());
  }
  for (int look = 0; look < 3; ++look) stage.repair.look_for_strays(look == 0 ? all : 4);
  CHECK(stage.repair.moves().seen() == 0);
  for (Handle handle = 0; handle < before.size(); ++handle) {
    CHECK(stage.pool.exchange().slots[handle].load().bits() == before[handle]);
  }
  stage.die();  // Nothing may be left unfinished.
  stage.run_rest();
}

TEST_CASE("a task whose state was ruined fails instead of hanging whoever waits for it") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  const std::uint64_t sound = stage.pool.slot(task).load().bits();
  std::uint64_t wild = 0;
  SECTION("to zero") {}
  SECTION("to a phase that there is not") { wild = ~std::uint64_t{0}; }
  SECTION("to another phase that there is not") { wild = sound | 0xF; }
  SECTION("to one that a worker runs who is not there") {
    wild = StateWord(sound).with_phase(Phase::running).with_owner(77).bits();
  }
  SECTION("to one that an idle worker runs") {
    wild = StateWord(sound).with_phase(Phase::running).with_owner(0).bits();
    stage.pool.layout().presence.fall_asleep(0);
  }
  SECTION("to one that nobody has claimed") { wild = StateWord(sound).with_phase(Phase::claimed).bits(); }
  SECTION("to one that a worker runs who has another in hand") {
    ResultHandle other = stage.pool.submit(run_once, 6);
    stage.start(other);
    wild = StateWord(sound).with_phase(Phase::running).with_owner(0).bits();
  }
  SECTION("to one that waits in a mailbox") { wild = StateWord(sound).with_ticket(posted_bit).with_posted().bits(); }
  stage.pool.slot(task).state = wild;
  stage.repair.look_for_strays(all);
  REQUIRE(task.wait());
  CHECK_THROWS_AS(take_result<int>(std::move(task)), procpool::SerializationError);
  stage.die();  // Nothing may be left unfinished.
  stage.run_rest();
  CHECK(runs == 0);
}

TEST_CASE("a task that seems to wait, but may have run, does not run again") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  const StateWord word = stage.pool.slot(task).load();
  SECTION("where no task was queued") { stage.pool.slot(task).state = word.with_ticket(12345).bits(); }
  SECTION("though it has begun") {
    stage.pool.layout().ring(RingName::normal).ring.pass(word.ticket());
    stage.pool.slot(task).state = word.with_owner(0).bits();
  }
  stage.repair.look_for_strays(all);
  stage.run_rest();
  CHECK(runs == 0);
  CHECK_THROWS_AS(take_result<int>(std::move(task)), procpool::SerializationError);
}

TEST_CASE("a worker whose row was ruined while it runs its task is left alone") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.start(task);
  stage.row.current = 0;
  stage.repair.look_for_strays(all);
  CHECK(stage.pool.slot(task).load().phase() == Phase::running);
  stage.move(task, Phase::done);
}

TEST_CASE("a free slot whose word a wild write has changed is nobody's task") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.run_rest();
  const Handle handle = task.handle();
  CHECK(value_of_task(std::move(task)) == 5);
  Slot& slot = stage.pool.exchange().slots[handle];
  for (const Phase phase : {Phase::queued, Phase::claimed, Phase::running, Phase::lost}) {
    slot.state = StateWord::queued(2000).with_phase(phase).with_owner(0).bits();
    stage.row.current = Cell(2000, handle).bits;
    stage.repair.look_for_strays(all);
    stage.die();
  }
  ResultHandle next = stage.pool.submit(run_once, 6);
  CHECK(next.handle() == handle);
  stage.run_rest();
  CHECK(value_of_task(std::move(next)) == 6);
}

TEST_CASE("a task of the user's own process ends once, whatever a wild write makes of its state") {
  Stage stage;
  Exchange& exchange = stage.pool.exchange();
  const StateWord waiting = StateWord::queued(2000);
  for (const std::uint64_t wild :
       {std::uint64_t{0}, ~std::uint64_t{0}, waiting.bits(), waiting.with_phase(Phase::running).with_owner(0).bits(),
        waiting.with_phase(Phase::claimed).bits(), waiting.with_phase(Phase::done).bits()}) {
    INFO("state " << wild);
    for (const bool has_ended : {false, true}) {
      LocalTask task(exchange);
      ResultHandle future = task.take_future();
      Slot& slot = stage.pool.slot(future);
      if (!has_ended) slot.state = wild;
      stage.repair.look_for_strays(all);
      task.succeed(std::make_shared<int>(5));
      if (has_ended) slot.state = wild;
      stage.repair.look_for_strays(all);
      REQUIRE(future.wait());
      try {
        const int value = take_result<int>(std::move(future));
        CHECK(value == 5);
      } catch (const procpool::SerializationError&) {
        CHECK(has_ended);
      }
    }
    LocalTask task(exchange);
    stage.pool.slot(task.take_future()).state = wild;  // The future goes before the task ends.
    stage.repair.look_for_strays(all);
    task.succeed(std::make_shared<int>(5));
  }
  for (Handle handle = 0; handle < exchange.slots.was_used(); ++handle) CHECK_FALSE(exchange.slots.was_in_use(handle));
}

TEST_CASE("a task of the user's own process that seems done before it ends is an error to read") {
  Stage stage;
  LocalTask task(stage.pool.exchange());
  ResultHandle future = task.take_future();
  stage.pool.slot(future).state = StateWord(0).with_owner(no_worker).with_phase(Phase::done).bits();
  CHECK_THROWS_AS(take_result<int>(std::move(future)), procpool::SerializationError);
  task.succeed(std::make_shared<int>(5));
  CHECK_FALSE(stage.pool.exchange().slots.was_in_use(0));
}

TEST_CASE("once a pool is broken no death is judged any more, and no slot of a living worker is used again") {
  Stage stage;
  ResultHandle task = stage.pool.submit(run_once, 5);
  stage.start(task);
  const Handle handle = task.handle();
  stage.repair.break_all(std::make_exception_ptr(procpool::BrokenPool("broken")));
  CHECK_THROWS_AS(take_result<int>(std::move(task)), procpool::BrokenPool);
  ResultHandle next = stage.pool.submit(run_once, 6);
  CHECK(next.handle() != handle);
  stage.start(next);
  stage.die();
  CHECK(stage.pool.slot(next).load().phase() == Phase::running);
  stage.move(next, Phase::done);
}

/// As Stage; the one task has a queue timeout of an hour, and may be tried again.
struct TimedStage : Stage {
  static constexpr std::chrono::hours hour{1};

  Deadlines deadlines{pool.exchange(), pool.layout()};
  Deadlines::Clock::time_point sent = Deadlines::Clock::now();
  ResultHandle task = send();

  [[nodiscard]] ResultHandle send() {
    const SupervisedTerms terms{.queue_timeout = hour, .retries = 1};
    std::optional<ResultHandle> queued = pool.try_submit(run_once, 1, RingName::normal, note_of(terms));
    REQUIRE(queued);
    static_cast<void>(deadlines.watch(queued->handle(), pool.slot(*queued).load().ticket(), terms));
    return std::move(*queued);
  }

  /// The supervisor's tick, so long after the sending.
  void tick(std::chrono::minutes after) { static_cast<void>(deadlines.tick(sent + after)); }
};

TEST_CASE("a task whose worker died before its start waits no longer, in all, than its queue timeout") {
  TimedStage stage;
  stage.claim(stage.task);
  stage.tick(std::chrono::minutes(61));  // It may be about to start.
  CHECK_FALSE(stage.task.is_ready());
  stage.die();
  stage.tick(std::chrono::minutes(61));
  CHECK_FALSE(stage.task.is_ready());
  stage.tick(std::chrono::minutes(62));
  REQUIRE(stage.task.is_ready());
  CHECK_THROWS_AS(take_result<int>(std::move(stage.task)), procpool::QueueTimeout);
  stage.run_rest();
  CHECK(runs == 0);
}

TEST_CASE("a task that was recalled from a worker waits no longer, in all, than its queue timeout") {
  TimedStage stage;
  stage.claim(stage.task);
  stage.tick(std::chrono::minutes(0));
  stage.tick(std::chrono::minutes(61));
  REQUIRE(stage.pool.slot(stage.task).load().phase() == Phase::recalled);
  stage.tick(std::chrono::minutes(62));
  CHECK_FALSE(stage.task.is_ready());  // Nobody else has it before the worker is dead.
  stage.die();
  CHECK(stage.pool.slot(stage.task).load().phase() == Phase::queued);
  SECTION("it is over") {
    stage.tick(std::chrono::minutes(63));
    REQUIRE(stage.task.is_ready());
    CHECK_THROWS_AS(take_result<int>(std::move(stage.task)), procpool::QueueTimeout);
    stage.run_rest();
    CHECK(runs == 0);
  }
  SECTION("another worker is faster") {
    stage.run_rest();
    CHECK(value_of_task(std::move(stage.task)) == 1);
  }
}

TEST_CASE("a task that was recalled from a worker has not begun, and no try of it is used up") {
  TimedStage stage;
  stage.claim(stage.task);
  stage.move(stage.task, Phase::recalled);
  stage.die();
  CHECK(stage.pool.slot(stage.task).load().requeues() == 1);
  SECTION("it can be cancelled") {
    CHECK(stage.task.cancel());
    CHECK(text_of_cancellation(std::move(stage.task)) == "the task was cancelled before it ran");
  }
  SECTION("its only retry is left") {
    stage.start(stage.task);
    stage.die();
    stage.run_rest();
    CHECK(value_of_task(std::move(stage.task)) == 1);
  }
}

TEST_CASE("a task that is killed after it was recalled from a worker never runs, and hits no other") {
  TimedStage stage;
  stage.claim(stage.task);
  stage.move(stage.task, Phase::recalled);
  stage.task.kill();
  CHECK(stage.pool.slot(stage.task).load().phase() == Phase::condemned);
  stage.die();
  REQUIRE(stage.task.is_ready());
  CHECK(stage.task.was_cancelled());
  stage.run_rest();
  CHECK(runs == 0);
}

TEST_CASE("a task that is tried again has met its queue timeout, however long the next try waits") {
  TimedStage stage;
  stage.start(stage.task);
  stage.die();
  stage.tick(std::chrono::minutes(61));
  CHECK_FALSE(stage.task.is_ready());
  stage.run_rest();
  CHECK(value_of_task(std::move(stage.task)) == 1);
}

TEST_CASE("a task that is queued again because a ruin has hidden it has not begun") {
  TimedStage stage;
  const std::uint64_t ticket = stage.pool.slot(stage.task).load().ticket();
  stage.pool.layout().ring(RingName::normal).ring.pass(ticket);
  stage.repair.look_for_strays(all);
  REQUIRE(stage.pool.slot(stage.task).load().ticket() != ticket);
  SECTION("it can be cancelled") { CHECK(stage.task.cancel()); }
  SECTION("its queue timeout goes on") {
    stage.tick(std::chrono::minutes(61));
    REQUIRE(stage.task.is_ready());
    CHECK_THROWS_AS(take_result<int>(std::move(stage.task)), procpool::QueueTimeout);
  }
  stage.run_rest();
  CHECK(runs == 0);
}
