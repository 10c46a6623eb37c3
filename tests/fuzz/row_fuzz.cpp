// SPDX-License-Identifier: BSL-1.0

/// @file
/// Workers write what they like to their rows, to slots, to the heads of rings and to where results are announced, and
/// die; the supervisor reads all that and decides. In the end honest workers serve the pool again, and every task ends.
///
/// An input: one step after another, a byte for what it is and then what it needs.

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <procpool/detail/pool/deadlines.hpp>
#include <procpool/detail/pool/initializer_failure.hpp>
#include <procpool/detail/pool/repair.hpp>
#include <procpool/detail/pool/ring_walk.hpp>
#include <procpool/detail/pool/unready_lives.hpp>
#include <procpool/detail/task/result_codec.hpp>

#include "support/arena.hpp"
#include "support/input.hpp"

using namespace procpool::detail;

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t workers = fuzz::Arena::workers;

/// A pool without processes, whose supervisor does what the input says.
class Scene {
 public:
  Scene(fuzz::Arena& arena, fuzz::Input& input);
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  ~Scene() = default;

  void step();
  void end();

 private:
  static constexpr std::size_t most_tasks = 6;
  static constexpr std::size_t chunk_items = 3;

  [[nodiscard]] Row& row(std::size_t index) { return layout_.row(index); }
  [[nodiscard]] Slot& slot(Handle handle) { return exchange_.slots[handle]; }
  [[nodiscard]] Handle any_task() { return tasks_.empty() ? 0 : tasks_[input_.below(tasks_.size())].handle(); }

  // What the user's process does.
  void submit();
  [[nodiscard]] std::unique_ptr<TaskNote> note_of_task();
  void look();
  void supervise();
  void bury();

  // What a worker does: as it should, or not.
  void claim();
  void write_wildly();

  // The end.
  void serve(std::size_t index);
  bool finish_one(std::size_t index, Cell cell);
  [[nodiscard]] bool have_all_ended() const;
  void take_results();

  fuzz::Arena& arena_;
  fuzz::Input& input_;
  Exchange& exchange_;
  PoolLayout& layout_;
  Repair repair_;
  Deadlines deadlines_;
  UnreadyLives unready_;
  Clock::time_point now_ = Clock::now();
  std::uint64_t next_post_ = 0;
  Life life_ = 1;
  std::vector<ResultHandle> tasks_;
};

Scene::Scene(fuzz::Arena& arena, fuzz::Input& input)
    : arena_(arena), input_(input), exchange_(arena.exchange()), layout_(arena.layout()), repair_(exchange_, layout_),
      deadlines_(exchange_, layout_) {
  arena.reset_pool();
  for (std::size_t i = 0; i < workers; ++i) {
    layout_.lives(i).born = life_;
    layout_.lives(i).pid = 1000;
  }
}

void Scene::step() {
  switch (input_.below(8)) {
    case 0: return submit();
    case 1: return claim();
    case 2: return bury();
    case 3: return supervise();
    case 4: return look();
    default: return write_wildly();
  }
}

std::unique_ptr<TaskNote> Scene::note_of_task() {
  const unsigned bits = input_.take();
  if ((bits & 3) == 0) return nullptr;
  auto note = std::make_unique<TaskNote>();
  note->label = "label";
  if ((bits & 1) != 0) {
    SupervisedTerms terms;
    terms.timeout = std::chrono::milliseconds((bits & 4) != 0 ? 10 : 0);
    terms.queue_timeout = std::chrono::milliseconds((bits & 8) != 0 ? 20 : 0);
    terms.grace = std::chrono::milliseconds(5);
    terms.retries = (bits & 16) != 0 ? 1 : 0;
    terms.retries_on_timeout = (bits & 32) != 0 ? 1 : 0;
    note->tries = std::make_unique<Tries>(terms);
  }
  if ((bits & 2) == 0) return note;
  note->items = chunk_items;
  note->has_position = true;
  note->has_item_blocks = (bits & 64) != 0;
  note->has_own_result = !note->has_item_blocks && (bits & 128) != 0;
  const std::size_t bytes = sizeof(ChunkHeader) + chunk_items * sizeof(ItemBlock);
  note->results = SharedBlock(exchange_.data, bytes);
  ASAN_UNPOISON_MEMORY_REGION(note->results.data(), bytes);
  std::memset(note->results.data(), 0, bytes);
  ::new (static_cast<void*>(note->results.data())) ChunkHeader;
  return note;
}

/// Into the ring of a priority, or the mailbox of a worker.
void Scene::submit() {
  constexpr RingName names[] = {RingName::normal, RingName::high, RingName::low};
  if (tasks_.size() == most_tasks) return;
  const std::uint8_t way = input_.take();
  const bool is_posted = way % 4 == 0;
  const std::size_t index = input_.below(workers);
  if (is_posted && row(index).mailbox != 0) return;
  Ring& ring = layout_.ring(names[way / 4 % std::size(names)]).ring;
  static_cast<void>(walk_to_live_head(ring, exchange_.slots));
  if (ring.was_full()) return;
  std::unique_ptr<TaskNote> note = note_of_task();
  const SupervisedTerms terms = note && note->tries ? note->tries->terms() : SupervisedTerms();
  const Handle handle = arena_.allocate();
  if (note) exchange_.slots.set_note(handle, std::move(note));
  std::uint64_t ticket = 0;
  {
    const std::lock_guard lock(exchange_.submit_mutex);
    if (is_posted) {
      ticket = next_post_++ | posted_bit;
      slot(handle).store(StateWord::queued(ticket).with_posted());
      row(index).mailbox = Cell(ticket, handle).bits;
    } else {
      ticket = ring.next_position();
      slot(handle).store(StateWord::queued(ticket));
      ring.publish(handle);
    }
  }
  layout_.wake_one();
  if (terms.have_deadline()) static_cast<void>(deadlines_.watch(handle, ticket, terms));
  tasks_.emplace_back(exchange_, handle);
}

/// As Worker does it, up to the middle of the task.
void Scene::claim() {
  if (tasks_.empty()) return;
  const std::size_t index = input_.below(workers);
  const Handle handle = any_task();
  StateWord word = slot(handle).load();
  if (word.phase() != Phase::queued) return;
  row(index).current = Cell(word.ticket(), handle).bits;
  if (slot(handle).transition(word, word.with_phase(Phase::claimed).with_owner(static_cast<WorkerIndex>(index)))) {
    word = slot(handle).load();
    if (input_.below(4) != 0) slot(handle).transition(word, word.with_phase(Phase::running));
  }
}

void Scene::bury() {
  constexpr int statuses[] = {0, SIGKILL, SIGSEGV, 3 << 8, initializer_failed_status << 8, SIGABRT};
  const std::size_t index = input_.below(workers);
  const int status = statuses[input_.below(std::size(statuses))];
  LifeRegister& lives = layout_.lives(index);
  lives.dead = lives.born.load();
  lives.status = status;
  const Life life = lives.dead;
  repair_.bury(index, life, status, deadlines_.running_for(index));
  if (const std::exception_ptr reason = unready_.judge(workers, row(index), life, lives.pid, status)) {
    try {
      std::rethrow_exception(reason);
    } catch (const procpool::BrokenPool&) {
    }
  }
  lives.born = ++life_;
}

void Scene::supervise() {
  switch (input_.below(6)) {
    case 0: static_cast<void>(repair_.look_for_strays(1024)); break;
    case 1: repair_.requeue_waiting(); break;
    case 2: repair_.empty_mailbox(input_.below(workers)); break;
    case 3: exchange_.sweep(16); break;
    case 4: {
      if (tasks_.empty()) break;
      ResultHandle& task = tasks_[input_.below(tasks_.size())];
      if (input_.below(2) == 0) task.kill();
      else static_cast<void>(task.cancel());
      break;
    }
    default:
      now_ += std::chrono::milliseconds(input_.below(32));
      static_cast<void>(deadlines_.tick(now_));
      static_cast<void>(deadlines_.until_next(now_, std::chrono::milliseconds(25)));
  }
}

/// Who waits, and who asks the pool what it does.
void Scene::look() {
  const std::size_t index = input_.below(workers);
  switch (input_.below(7)) {
    case 0:
      fuzz::require(row(index).label.was_shown().size() <= ShownLabel::capacity, "a label is longer than its place");
      break;
    case 1: {
      procpool::DeathReport report{.pid = 5, .signal = input_.below(2) == 0 ? SIGSEGV : SIGKILL};
      add_crash(report, row(index), static_cast<Life>(input_.below(3)));
      const procpool::WorkerDied death(std::move(report));
      fuzz::require(death.stack().size() <= RawStack::most_frames, "a stack has more frames than places");
      fuzz::require(std::string(death.what()).size() < 65536, "the text of a death is too long");
      break;
    }
    case 2: {
      std::size_t handles = 0;
      static_cast<void>(exchange_.completions(index).drain([&](Handle) { ++handles; }));
      fuzz::require(handles <= 512, "a ring gives more than it holds");
      break;
    }
    case 3:
      static_cast<void>(
          exchange_.hub.wait(std::chrono::nanoseconds::zero(), Clock::time_point{}, [] { return false; }));
      break;
    case 4: {
      const std::optional<WorkerIndex> sleeper = layout_.presence.choose_sleeper(workers);
      fuzz::require(!sleeper || *sleeper < workers, "a worker is woken that does not exist");
      break;
    }
    case 5: static_cast<void>(deadlines_.running_for(index)); break;
    default:
      for (RingAndSpace& each : layout_.rings()) static_cast<void>(walk_to_live_head(each.ring, exchange_.slots));
  }
}

void Scene::write_wildly() {
  const std::size_t index = input_.below(workers);
  const auto write = [this](void* begin, std::size_t size) {
    const std::size_t at = input_.take<std::uint16_t>() % size;
    input_.write_over(static_cast<std::byte*>(begin) + at, std::min<std::size_t>(1 + input_.below(16), size - at));
  };
  switch (input_.below(11)) {
    case 0: return write(&row(index), sizeof(Row));
    case 1: return write(&row(index), 128);  // what is not of a crash
    case 2: return write(&row(index).crash, 64);
    case 3:
      if (!tasks_.empty()) write(&slot(any_task()).state, sizeof(std::uint64_t));
      return;
    case 4:
      if (!tasks_.empty()) write(&slot(any_task()).result, sizeof(ResultHeader) + sizeof(TaskRecord));
      return;
    case 5:  // A cell of the row, of a task or nearly so.
      if (!tasks_.empty()) {
        const Handle handle = any_task();
        row(index).current = Cell(slot(handle).load().ticket() + input_.below(2), handle).bits;
      }
      return;
    case 6: return write(&layout_.words() + 1, ring_count * sizeof(RingWords));
    case 7: return write(&exchange_.completions(index), sizeof(CompletionRing));
    case 8: return write(exchange_.pool_part(), Presence::bytes_for(workers));
    case 9: return arena_.ruin_extents(input_);
    default:
      if (tasks_.empty()) return;
      if (const TaskNote* note = exchange_.slots.note(any_task()); note != nullptr && note->results) {
        auto& header = *reinterpret_cast<ChunkHeader*>(note->results.data());
        header.finished = input_.take();
        if (input_.below(2) == 0) header.failures = arena_.hostile_address(input_);
      }
  }
}

/// Every worker dies, and lives again, and does what the pool has for it.
void Scene::end() {
  for (std::size_t index = 0; index < workers; ++index) {
    LifeRegister& lives = layout_.lives(index);
    lives.dead = lives.born.load();
    lives.status = SIGKILL;
    repair_.bury(index, lives.dead, SIGKILL, {});
    lives.born = ++life_;
  }
  // As often as a task may be tried again, and some more: no task is queued for ever.
  for (int round = 0; round < 8 && !have_all_ended(); ++round) {
    for (std::size_t index = 0; index < workers; ++index) {
      layout_.presence.start_looking(static_cast<WorkerIndex>(index));
      serve(index);
    }
    repair_.requeue_waiting();
    static_cast<void>(deadlines_.tick(now_ += std::chrono::milliseconds(50)));
    static_cast<void>(repair_.look_for_strays(SIZE_MAX));
  }
  take_results();
  exchange_.sweep(SIZE_MAX);
}

bool Scene::have_all_ended() const {
  return std::all_of(tasks_.begin(), tasks_.end(), [](const ResultHandle& task) { return task.word().is_over(); });
}

void Scene::serve(std::size_t index) {
  if (const std::uint64_t posted = row(index).mailbox.exchange(0); posted != 0) finish_one(index, Cell(posted));
  for (RingAndSpace& each : layout_.rings()) {
    while (walk_to_live_head(each.ring, exchange_.slots)) {
      const std::uint64_t position = each.ring.head();
      const std::optional<Cell> cell = each.ring.peek(position);
      fuzz::require(cell && finish_one(index, *cell), "the head of a ring is no task that waits");
      each.ring.pass(position);
    }
  }
}

/// As Worker does it, without a result. False if the cell names no task that waits.
bool Scene::finish_one(std::size_t index, Cell cell) {
  if (!exchange_.slots.contains(cell.handle())) return false;
  Slot& of_task = slot(cell.handle());
  StateWord word = of_task.load();
  if (word.phase() != Phase::queued || word.ticket() != cell.ticket()) return false;
  row(index).current = cell.bits;
  const bool is_claimed =
      of_task.transition(word, word.with_phase(Phase::claimed).with_owner(static_cast<WorkerIndex>(index)));
  fuzz::require(is_claimed, "a task is claimed by two");
  of_task.mutex.initialize();
  of_task.result = {};
  word = of_task.load();
  static_cast<void>(of_task.transition(word, word.with_phase(Phase::done)));
  row(index).current = 0;
  return true;
}

/// Every task has ended, or is found to be ruined by who waits for it.
void Scene::take_results() {
  for (ResultHandle& task : tasks_) {
    const Handle handle = task.handle();
    const StateWord last = task.word();
    if (!last.is_final() && !last.is_ruined()) {
      std::fprintf(stderr, "the word of the task is %llx\n", static_cast<unsigned long long>(last.bits()));
      fuzz::fail("a task never ends");
    }
    fuzz::require(task.wait(), "a wait without a deadline has ended before the task");
    try {
      take_result<void>(std::move(task));
    } catch (const procpool::Error&) {
    }
    exchange_.sweep(SIZE_MAX);
    if (exchange_.slots.was_in_use(handle)) {
      // Its future has failed at its deadline; the worker, which goes on, gives it back.
      slot(handle).store(StateWord(0).with_phase(Phase::lost));
      exchange_.sweep(SIZE_MAX);
    }
    fuzz::require(!exchange_.slots.was_in_use(handle), "a slot was not given back");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::Arena arena;
  static const fuzz::Readable outbox(std::span(arena.exchange().outbox.address(0), arena.exchange().outbox.capacity()));
  fuzz::Input input(data, size);
  arena.reset();
  Scene scene(arena, input);
  while (!input.empty()) scene.step();
  scene.end();
  return 0;
}
