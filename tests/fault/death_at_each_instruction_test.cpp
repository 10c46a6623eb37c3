// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/address_space.hpp"
#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/leftovers.hpp"
#include "../support/shared_page.hpp"
#include "../support/single_stepper.hpp"

using namespace std::chrono_literals;
using procpool::Future;
using procpool::Outcome;
using procpool::PoolOptions;
using procpool::ProcessPool;
using procpool::WaitPolicy;
using procpool::WorkerDied;
using procpool::detail::ChunkHeader;
using procpool::detail::Handle;
using procpool::detail::Phase;
using procpool::detail::StateWord;
using procpool::detail::TaskNote;
using support::Route;
using support::SingleStepper;

namespace {

/// By how many instructions each death comes later than the one before.
std::size_t stride() {
  const std::size_t instructions = support::is_full_run() ? 1 : 7;
  return support::is_sanitized ? 49 * instructions : instructions;  // Most of them are the sanitizer's own.
}

/// The same where each death costs as many steps as it has instructions before it.
std::size_t stride_in_turn() { return support::is_sanitized ? 7 * stride() : stride(); }

constexpr std::size_t watched_items = 3;

/// How often each item of a map ran, in all processes; any other task is item 0.
struct ItemRuns {
  std::array<std::atomic<int>, watched_items> of{};
};

enum class Stage { queued, claimed, running, ended };

/// What the shared memory said of the task at the moment of its worker's death.
struct Moment {
  ::pid_t worker = 0;
  Stage stage = Stage::ended;
  std::optional<std::size_t> loses = std::nullopt;  // the item whose death it is
};

/// A pool whose worker 0 dies again and again, each time a little later in its work.
class Patient {
 public:
  explicit Patient(int workers, std::size_t shared_memory = PoolOptions().shared_memory)
      : pool_{{.workers = workers, .shared_memory = shared_memory, .wait = WaitPolicy::block}} {}

  [[nodiscard]] ProcessPool<>& pool() noexcept { return pool_; }
  [[nodiscard]] ItemRuns* runs() const noexcept { return runs_.get(); }

  /// Counts the test case as skipped if the machine lets no worker be traced.
  [[nodiscard]] bool can_be_traced() const;

  /// What a worker has behind it before the task that it dies at.
  void before_each_death(std::function<void()> prepare) { prepare_ = std::move(prepare); }

  /// No worker is led further than so many instructions into a loop: where much is copied they are all alike.
  void lead_into_loops_by(std::size_t instructions) { most_in_loop_ = instructions; }

  /// Calls `send()`, which sends a task and returns something to `check`; kills the worker on its way through the task,
  /// and calls `check(task, moment)` to look at what became of it. And so on with later deaths, from the sleep before
  /// the task to the one after it.
  template <class Send, class Check>
  void die_at_each_instruction(Send send, Check check);

  /// The same of a pool of two: both are woken for the task, and go on by one instruction in turn, until one of them
  /// goes to sleep. Worker 1, which is not killed, is ahead by `lead` instructions.
  template <class Send, class Check>
  void die_beside_another(std::size_t lead, Send send, Check check);

  /// The same, but worker 1 goes first, and stands still at some instruction until it has been decided what the death
  /// means. Then it goes on with what it believes to know. So many places of each, in all pairs.
  template <class Send, class Check>
  void die_before_another(std::size_t places_to_die, std::size_t places_to_stand, Send send, Check check);

  /// How many deaths found the task in the worker's own hand, or in another's.
  [[nodiscard]] int deaths_as_owner() const noexcept { return deaths_as_owner_; }
  [[nodiscard]] int deaths_beside_owner() const noexcept { return deaths_beside_owner_; }

  /// The task that was sent, once it is queued.
  [[nodiscard]] Handle task() const;
  [[nodiscard]] StateWord word_of(Handle task) const { return core().exchange().slots[task].load(); }

 private:
  template <class Lead, class Send, class Check>
  void die(Lead lead, Send& send, Check& check);
  [[nodiscard]] SingleStepper hold(std::size_t worker) const;
  void hold_other() { other_.emplace(support::pids_of(pool_)[1], bed(1)); }
  [[nodiscard]] const void* bed(std::size_t worker) const noexcept { return &core().layout().row(worker).wake; }
  [[nodiscard]] Moment moment_of(Handle task, ::pid_t worker) const;
  void wait_for_decision(std::uint64_t deaths_before) const;
  void check_that_it_goes_on();

  [[nodiscard]] procpool::detail::PoolCore& core() const noexcept { return *pool_.sender().core; }

  const support::Shared<ItemRuns> runs_;  // before the pool, so that its workers share it
  ProcessPool<> pool_;
  std::function<void()> prepare_ = [] {};
  std::size_t most_in_loop_ = SIZE_MAX;
  std::optional<SingleStepper> other_;  // worker 1, until the victim is dead
  std::map<Stage, int> deaths_;
  int deaths_as_owner_ = 0;
  int deaths_beside_owner_ = 0;
};

bool Patient::can_be_traced() const {
  try {
    static_cast<void>(hold(0));
    return true;
  } catch (const support::PtraceRefused& refusal) {
    support::skip_case(refusal.what());
    return false;
  }
}

SingleStepper Patient::hold(std::size_t worker) const {
  return SingleStepper(support::pids_of(pool_)[worker], bed(worker));
}

Handle Patient::task() const {
  std::optional<Handle> found;
  const auto is_queued = [&] {
    const auto& slots = core().exchange().slots;
    for (Handle handle = 0; handle < slots.was_used() && !found; ++handle) {
      const bool is_in_ring = slots.was_in_use(handle) && slots[handle].load().phase() == Phase::queued;
      if (is_in_ring) found = handle;
    }
    return found.has_value();
  };
  if (!support::eventually(is_queued, std::chrono::seconds(20))) throw std::logic_error("no task was sent");
  return *found;
}

Moment Patient::moment_of(Handle task, ::pid_t worker) const {
  Moment moment{.worker = worker};
  const StateWord word = word_of(task);
  if (word.phase() == Phase::queued) moment.stage = Stage::queued;
  if (word.phase() == Phase::claimed) moment.stage = Stage::claimed;
  if (word.phase() != Phase::running) return moment;  // What has ended may have been taken, and with it its note.
  moment.stage = Stage::running;
  if (word.owner() != 0) return moment;
  moment.loses = 0;
  if (const TaskNote* note = core().exchange().slots.note(task); note != nullptr && note->items > 0) {
    moment.loses = reinterpret_cast<const ChunkHeader*>(note->results.data())->finished.load();
    if (moment.loses == note->items) moment.loses.reset();
  }
  return moment;
}

template <class Send, class Check>
void Patient::die_at_each_instruction(Send send, Check check) {
  std::optional<Route> route;
  // Of a worker that was forked after another's death, as all that follow.
  die([](SingleStepper&) {}, send, check);
  prepare_();
  die([&](SingleStepper& victim) { route.emplace(victim); }, send, check);
  std::size_t deaths = 0;
  std::size_t exact = 0;
  for (std::size_t instructions = 0; instructions <= route->length(); instructions += stride()) {
    if (route->steps_to(instructions) > most_in_loop_) continue;
    ++deaths;
    INFO("a death after " << instructions << " of " << route->length() << " instructions");
    prepare_();
    die([&](SingleStepper& victim) { exact += route->follow(victim, instructions) ? 1 : 0; }, send, check);
  }
  CHECK(exact >= deaths - deaths / 4);
  for (const Stage stage : {Stage::queued, Stage::claimed, Stage::running, Stage::ended}) {
    INFO("stage " << static_cast<int>(stage));
    CHECK(deaths_[stage] > 0);
  }
}

template <class Send, class Check>
void Patient::die_beside_another(std::size_t lead, Send send, Check check) {
  bool are_awake = true;
  std::size_t instructions = 0;
  do {
    INFO("a death after " << instructions << " instructions, the other worker being ahead by " << lead);
    hold_other();
    const auto go_in_turn = [&](SingleStepper& victim) {
      core().layout().wake_all();
      for (std::size_t step = 0; step < lead && are_awake; ++step) are_awake = other_->step();
      for (std::size_t step = 0; step < instructions && are_awake; ++step) {
        are_awake = victim.step() && other_->step();
      }
    };
    die(go_in_turn, send, check);
    instructions += stride_in_turn();
  } while (are_awake);
}

template <class Send, class Check>
void Patient::die_before_another(std::size_t places_to_die, std::size_t places_to_stand, Send send, Check check) {
  std::optional<Route> route;
  die([](SingleStepper&) {}, send, check);
  hold_other();
  die([&](SingleStepper& victim) { route.emplace(victim); }, send, check);
  const std::size_t step_of_victim = route->length() / places_to_die + 1;
  const std::size_t step_of_other = route->length() / places_to_stand + 1;
  std::size_t deaths = 0;
  std::size_t stands = 0;
  std::size_t exact = 0;
  for (std::size_t others = 0; others <= route->length(); others += step_of_other) {
    for (std::size_t instructions = 0; instructions <= route->length(); instructions += step_of_victim) {
      INFO("a death after " << instructions << " instructions, the other worker standing after " << others);
      hold_other();
      const auto go_one_by_one = [&](SingleStepper& victim) {
        core().layout().wake_all();
        stands += route->follow(*other_, others) ? 1 : 0;
        exact += route->follow(victim, instructions) ? 1 : 0;
      };
      ++deaths;
      die(go_one_by_one, send, check);
    }
  }
  CHECK(stands >= deaths - deaths / 10);
  CHECK(exact > deaths / 4);  // Where the other has the task, the victim takes another way.
}

/// `lead(victim)` leads the worker to where it is to die.
template <class Lead, class Send, class Check>
void Patient::die(Lead lead, Send& send, Check& check) {
  for (auto& count : runs_->of) count = 0;
  const std::uint64_t deaths_before = pool_.stats().worker_deaths;
  std::optional<decltype(send())> sent;  // It may wait for its task when it goes: the worker is let go before.
  Moment moment;
  {
    SingleStepper victim = hold(0);
    sent.emplace(send());
    const Handle handle = task();
    lead(victim);
    moment = moment_of(handle, victim.worker());
    victim.kill();
  }
  wait_for_decision(deaths_before);
  other_.reset();  // It goes on alone.
  ++deaths_[moment.stage];
  if (moment.stage == Stage::running) ++(moment.loses ? deaths_as_owner_ : deaths_beside_owner_);
  check(*sent, std::as_const(moment));
  sent.reset();  // A lazy map keeps what it sends with each chunk.
  check_that_it_goes_on();
}

/// Until what the last death means has been decided: only then is there a new worker, which may die of its own.
void Patient::wait_for_decision(std::uint64_t deaths_before) const {
  const auto is_replaced = [&] { return pool_.stats().worker_deaths > deaths_before && pool_.workers()[0].pid != 0; };
  REQUIRE(support::eventually(is_replaced, std::chrono::seconds(20)));
}

void Patient::check_that_it_goes_on() {
  CHECK(pool_.submit([](int x) { return 2 * x; }, 21).get() == 42);
  REQUIRE(support::what_is_left(pool_) == "");  // Each look for what does not go takes seconds.
}

/// What `get()` gives is the value of the one run of an item, or the death that the moment stands for.
template <class Get, class T>
void check_end(const Patient& patient, const Moment& moment, Get get, const T& value, std::size_t item = 0) {
  const bool is_lost = moment.loses == item;
  const std::atomic<int>& runs = patient.runs()->of[item];
  try {
    const T end = get();
    CHECK(end == value);
    CHECK(runs == 1);
    CHECK_FALSE(is_lost);
  } catch (const WorkerDied& death) {
    CHECK(is_lost);
    CHECK(runs <= 1);
    CHECK(death.pid() == moment.worker);
    CHECK(death.signal() == SIGKILL);
  }
}

/// The same of all items of a map; `value(item)` is what an item is to give.
template <class T, class Value>
void check_items(const Patient& patient, const Moment& moment, std::vector<Outcome<T>>& outcomes, Value value) {
  REQUIRE(outcomes.size() == watched_items);
  for (Outcome<T>& outcome : outcomes) {
    const std::size_t item = outcome.position();
    check_end(
        patient, moment, [&] { return outcome.value(); }, value(static_cast<int>(item)), item);
  }
}

auto doubling(ItemRuns* runs) {
  return [runs](int x) {
    ++runs->of[0];
    return 2 * x;
  };
}

/// Doubles each item of a map.
auto counting(ItemRuns* runs) {
  return [runs](int item) {
    ++runs->of[static_cast<std::size_t>(item)];
    return 2 * item;
  };
}

/// Its argument and its result need blocks of shared memory.
auto echo(ItemRuns* runs) {
  return [runs](std::string text) {
    ++runs->of[0];
    return text;
  };
}

/// Its result has two extents of the outbox to itself.
auto write_much(ItemRuns* runs) {
  return [runs](std::size_t size) {
    ++runs->of[0];
    return std::string(size, 'x');
  };
}

/// Expects that no death has failed the task, which ran again only if it had begun: `tries` times at most.
template <class Get, class T>
void check_retried(const Patient& patient, const Moment& moment, Get get, const T& value, int tries = 2) {
  const int runs_at_most = moment.stage == Stage::running ? tries : 1;
  CHECK(get() == value);
  for (const std::atomic<int>& runs : patient.runs()->of) CHECK(runs <= runs_at_most);
  CHECK(patient.runs()->of[0] >= 1);
}

/// The sum of the items' results, or the death of one: the others have run by then. The last one stands for what comes
/// after all items, the sending of their sum.
template <class T>
void check_reduction(const Patient& patient, const Moment& moment, std::future<T>& sum, const T& value) {
  const bool is_lost = moment.stage == Stage::running;
  const std::size_t lost = moment.loses.value_or(watched_items - 1);
  try {
    const T end = sum.get();
    CHECK(end == value);
    CHECK_FALSE(is_lost);
  } catch (const WorkerDied& death) {
    CHECK(is_lost);
    CHECK(death.position() == lost);
    CHECK(death.pid() == moment.worker);
    CHECK(death.signal() == SIGKILL);
  }
  for (std::size_t item = 0; item < watched_items; ++item) {
    const int runs = patient.runs()->of[item];
    CHECK(runs <= 1);
    if (!is_lost || item != lost) CHECK(runs == 1);
  }
}

std::string letters_of(int item) { return std::string(100, static_cast<char>('a' + item)); }
const std::vector<int> all_items = {0, 1, 2};
static_assert(watched_items == 3);

}  // namespace

TEST_CASE("a worker that dies at any instruction of a small task loses that task at most") {
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  patient.die_at_each_instruction([&] { return patient.pool().submit(doubling(patient.runs()), 4); },
                                  [&](Future<int>& future, const Moment& moment) {
                                    check_end(
                                        patient, moment, [&] { return future.get(); }, 8);
                                  });
}

TEST_CASE("a worker that dies at any instruction keeps nobody waiting for its task") {
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  const auto send_and_wait = [&] {
    auto value =
        std::async(std::launch::async,
                   [future = patient.pool().submit(doubling(patient.runs()), 4)]() mutable { return future.get(); });
    const Handle task = patient.task();
    REQUIRE(support::eventually([&] { return patient.word_of(task).is_waited_for(); }, std::chrono::seconds(20)));
    return value;
  };
  patient.die_at_each_instruction(send_and_wait, [&](std::future<int>& value, const Moment& moment) {
    check_end(
        patient, moment, [&] { return value.get(); }, 8);
  });
}

TEST_CASE("a callback is called once at whatever instruction the worker of its task dies") {
  std::atomic<int> calls{0};
  int sent = 0;
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  const auto send_with_callback = [&] {
    auto future = patient.pool().submit(doubling(patient.runs()), 4);
    future.on_ready([&](const Outcome<int>&) { ++calls; });
    ++sent;
    return future;
  };
  patient.die_at_each_instruction(send_with_callback, [&](Future<int>& future, const Moment& moment) {
    check_end(
        patient, moment, [&] { return future.get(); }, 8);
    CHECK(support::eventually([&] { return calls == sent; }, std::chrono::seconds(20)));
  });
  patient.pool().close();
  patient.pool().join();
  CHECK(calls == sent);
}

TEST_CASE("a worker that dies at any instruction of its first large task loses that task at most") {
  const std::string text(1000, 'x');
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  patient.die_at_each_instruction([&] { return patient.pool().submit(echo(patient.runs()), text); },
                                  [&](Future<std::string>& future, const Moment& moment) {
                                    check_end(
                                        patient, moment, [&] { return future.get(); }, text);
                                  });
}

TEST_CASE("a worker that dies at any instruction of a later large task loses that task at most") {
  const std::string text(1000, 'x');
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  patient.before_each_death([&] { CHECK(patient.pool().submit(echo(patient.runs()), text).get() == text); });
  patient.die_at_each_instruction([&] { return patient.pool().submit(echo(patient.runs()), text); },
                                  [&](Future<std::string>& future, const Moment& moment) {
                                    check_end(
                                        patient, moment, [&] { return future.get(); }, text);
                                  });
}

TEST_CASE("while two workers compete for a task, one may die at any instruction") {
  int deaths_as_owner = 0;
  int deaths_beside_owner = 0;
  for (const std::size_t lead : {0U, 1U}) {
    Patient patient(2);
    if (!patient.can_be_traced()) return;
    patient.die_beside_another(
        lead, [&] { return patient.pool().submit(doubling(patient.runs()), 4); },
        [&](Future<int>& future, const Moment& moment) {
          check_end(
              patient, moment, [&] { return future.get(); }, 8);
        });
    deaths_as_owner += patient.deaths_as_owner();
    deaths_beside_owner += patient.deaths_beside_owner();
  }
  CHECK(deaths_as_owner > 0);
  CHECK(deaths_beside_owner > 0);
}

TEST_CASE("a worker may die while another, which wants the same task, has stopped at one of many instructions") {
  Patient patient(2);
  if (!patient.can_be_traced()) return;
  const std::size_t places_to_die = support::is_sanitized ? 16 : support::is_full_run() ? 64 : 10;
  const std::size_t places_to_stand = support::is_sanitized ? 6 : 200;  // 200: each few instructions, also of a claim
  patient.die_before_another(
      places_to_die, places_to_stand, [&] { return patient.pool().submit(doubling(patient.runs()), 4); },
      [&](Future<int>& future, const Moment& moment) {
        check_end(
            patient, moment, [&] { return future.get(); }, 8);
      });
  CHECK(patient.deaths_as_owner() > 0);
  CHECK(patient.deaths_beside_owner() > 0);
}

TEST_CASE("a worker that dies at any instruction of a task for each worker loses that task at most") {
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  const auto send_to_each = [&] {
    return std::async(std::launch::async,
                      [&] { return patient.pool().run_on_each_worker(doubling(patient.runs()), 4); });
  };
  patient.die_at_each_instruction(send_to_each, [&](std::future<std::vector<int>>& values, const Moment& moment) {
    check_end(
        patient, moment, [&] { return values.get(); }, std::vector<int>{8});
  });
}

TEST_CASE("a worker that dies at any instruction of a chunk of numbers loses one item at most") {
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  const auto send_all = [&] {
    return patient.pool()
        .with({.chunk_size = watched_items})
        .imap_unordered_outcomes(counting(patient.runs()), all_items);
  };
  patient.die_at_each_instruction(send_all, [&](auto& results, const Moment& moment) {
    std::vector<Outcome<int>> outcomes;
    for (auto& outcome : results) outcomes.push_back(std::move(outcome));
    check_items(patient, moment, outcomes, [](int item) { return 2 * item; });
  });
}

TEST_CASE("a worker that dies at any instruction of a chunk of texts loses one item at most") {
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  const auto write = [runs = patient.runs()](int item) {
    ++runs->of[static_cast<std::size_t>(item)];
    return letters_of(item);
  };
  const auto send_all = [&] {
    return std::async(std::launch::async, [&] {
      return patient.pool().with({.chunk_size = watched_items}).map_outcomes(write, all_items);
    });
  };
  patient.die_at_each_instruction(send_all, [&](auto& values, const Moment& moment) {
    auto outcomes = values.get();
    check_items(patient, moment, outcomes, letters_of);
  });
}

TEST_CASE("a worker that dies at any instruction of a task with a result of several extents loses that task at most") {
  Patient patient(1, std::size_t{32} << 20);
  if (!patient.can_be_traced()) return;
  patient.lead_into_loops_by(250);
  const std::size_t extent = patient.pool().sender().core->exchange().outbox.extent_size();
  REQUIRE(extent < 1'000'000);
  const std::string text(extent + 50'000, 'x');
  patient.die_at_each_instruction([&] { return patient.pool().submit(write_much(patient.runs()), text.size()); },
                                  [&](Future<std::string>& future, const Moment& moment) {
                                    check_end(
                                        patient, moment, [&] { return future.get(); }, text);
                                  });
}

TEST_CASE("a worker that dies at any instruction of a task with terms loses that task at most") {
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  const auto timed =
      patient.pool().with({.timeout = 1h, .queue_timeout = 1h, .retries_on_exception = 1, .label = "timed"});
  patient.die_at_each_instruction([&] { return timed.submit(doubling(patient.runs()), 4); },
                                  [&](Future<int>& future, const Moment& moment) {
                                    check_end(
                                        patient, moment, [&] { return future.get(); }, 8);
                                  });
}

TEST_CASE("a worker that dies at any instruction of a task with a retry loses nothing") {
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  // The second run ends its worker too: were the first death counted twice, no try would be left.
  const auto doubling_but_second = [runs = patient.runs()](int x) {
    if (++runs->of[0] == 2) ::raise(SIGKILL);
    return 2 * x;
  };
  const auto tried_thrice = patient.pool().with({.timeout = 1h, .retries = 2, .label = "tried thrice"});
  int second_runs = 0;
  patient.die_at_each_instruction([&] { return tried_thrice.submit(doubling_but_second, 4); },
                                  [&](Future<int>& future, const Moment& moment) {
                                    check_retried(
                                        patient, moment, [&] { return future.get(); }, 8, 3);
                                    second_runs += patient.runs()->of[0] == 3 ? 1 : 0;
                                  });
  CHECK(second_runs > 0);
}

TEST_CASE("a worker that dies at any instruction of a chunk of a map_reduce loses one item at most") {
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  const auto send_all = [&] {
    return std::async(std::launch::async, [&] {
      return patient.pool()
          .with({.chunk_size = watched_items})
          .map_reduce(counting(patient.runs()), std::plus<>(), 1000, all_items);
    });
  };
  patient.die_at_each_instruction(
      send_all, [&](std::future<int>& sum, const Moment& moment) { check_reduction(patient, moment, sum, 1006); });
}

TEST_CASE("a worker that dies at any instruction of a chunk of a map_reduce with a retry counts no item twice") {
  Patient patient(1);
  if (!patient.can_be_traced()) return;
  const auto send_all = [&] {
    return std::async(std::launch::async, [&] {
      return patient.pool()
          .with({.retries = 1, .chunk_size = watched_items})
          .map_reduce(counting(patient.runs()), std::plus<>(), 1000, all_items);
    });
  };
  patient.die_at_each_instruction(send_all, [&](std::future<int>& sum, const Moment& moment) {
    check_retried(
        patient, moment, [&] { return sum.get(); }, 1006);
  });
}
