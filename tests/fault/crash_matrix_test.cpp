// SPDX-License-Identifier: BSL-1.0

/// @file
/// The crash matrix: whatever happens, at whatever step of a task, under whatever verb, costs that task alone.

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/process_tree.hpp"
#include "../support/shared_page.hpp"

using procpool::Future;
using procpool::ProcessPool;
using procpool::RemoteOrigin;
using procpool::WorkerDied;
using support::is_in_worker;
using support::Way;

namespace {

constexpr std::size_t matrix_workers = 2;
constexpr std::size_t matrix_items = 10;
constexpr std::size_t bad_item = 5;  // in the middle of a chunk of four
constexpr std::size_t bad_worker = 1;

// The rows.
enum class Step {
  none,
  argument_encoded,
  argument_decoded,
  runs,
  argument_destroyed,
  result_encoded,
  result_decoded,
};
struct Row {
  Step step;
  const char* name;
  bool is_in_worker;
};
constexpr Row rows[] = {
    {Step::argument_encoded, "while an argument is encoded", false},
    {Step::argument_decoded, "while an argument is decoded", true},
    {Step::runs, "while the task runs", true},
    {Step::argument_destroyed, "while an argument is destroyed", true},
    {Step::result_encoded, "while the result is encoded", true},
    {Step::result_decoded, "while the result is decoded", false},
};

// The columns.
enum class Event { exception, exit, abort, segfault, kill, stop_then_kill };
struct Column {
  Event event;
  const char* name;
  support::Ending ending;  // of a worker; of an exception none
};
constexpr Column columns[] = {
    {Event::exception, "an exception", {}},
    {Event::exit, "exit", support::ending_of(Way::exit_42)},
    {Event::abort, "abort", support::ending_of(Way::abort)},
    {Event::segfault, "SIGSEGV", support::ending_of(Way::segfault)},
    {Event::kill, "SIGKILL", support::ending_of(Way::kill)},
    {Event::stop_then_kill, "SIGSTOP, then SIGKILL", support::ending_of(Way::kill)},
};

struct Cell {
  Row row;
  Column column;

  /// In the user's process an exception is all that leaves somebody to be told of it: what ends that process ends its
  /// pools (see user_process_death_test.cpp).
  [[nodiscard]] bool exists() const noexcept { return row.is_in_worker || column.event == Event::exception; }

  /// An exception that leaves a destructor is std::terminate(), as everywhere in C++.
  [[nodiscard]] bool is_terminate() const noexcept {
    return column.event == Event::exception && row.step == Step::argument_destroyed;
  }
  [[nodiscard]] bool is_death() const noexcept { return column.event != Event::exception || is_terminate(); }
  [[nodiscard]] support::Ending ending() const noexcept {
    return is_terminate() ? support::ending_of(Way::std_terminate) : column.ending;
  }
  [[nodiscard]] bool fails_to_send() const noexcept { return row.step == Step::argument_encoded; }
  [[nodiscard]] int runs_of_the_bad_one() const noexcept { return row.step < Step::runs ? 0 : 1; }
};

/// What all processes write on.
struct Board {
  std::array<std::atomic<int>, matrix_items> runs{};
  std::atomic<::pid_t> victim{0};          // in which the event came about
  std::atomic<std::uint32_t> stopping{0};  // a process that is about to stop itself
};
Board& board() {
  static const support::Shared<Board> shared;
  return *shared;
}

void bring_about(Event event) {
  board().victim = ::getpid();
  switch (event) {
    case Event::exception: throw std::range_error("as it was wished");
    case Event::exit: support::die(Way::exit_42);
    case Event::abort: support::die(Way::abort);
    case Event::segfault: support::die(Way::segfault);
    case Event::kill: support::die(Way::kill);
    case Event::stop_then_kill:
      board().stopping = static_cast<std::uint32_t>(::getpid());
      procpool::detail::futex_wake(&board().stopping);
      ::raise(SIGSTOP);
      ::_exit(98);  // It was continued, which nobody should do.
  }
}

/// Kills each process that says that it stops itself, once it has stopped.
class Executioner {
 public:
  Executioner() = default;
  Executioner(const Executioner&) = delete;
  Executioner& operator=(const Executioner&) = delete;
  ~Executioner() {
    board().stopping = nobody_any_more;
    procpool::detail::futex_wake(&board().stopping);
    thread_.join();
    board().stopping = 0;
  }

 private:
  static constexpr std::uint32_t nobody_any_more = UINT32_MAX;

  static void wait_and_kill() {
    for (;;) {
      const std::uint32_t stopping = board().stopping;
      if (stopping == nobody_any_more) return;
      if (stopping == 0) {
        procpool::detail::futex_wait(&board().stopping, 0, std::chrono::seconds(1));
        continue;
      }
      const auto pid = static_cast<::pid_t>(stopping);
      if (!support::eventually([&] { return support::is_stopped(pid); }, std::chrono::seconds(20))) return;
      board().stopping = 0;  // The next comes after this death.
      ::kill(pid, SIGKILL);
    }
  }

  std::thread thread_{wait_and_kill};
};

/// An argument or a result, which brings about an event at one step of its way.
struct Carrier {
  Carrier() = default;
  explicit Carrier(std::size_t its_item) : item(its_item) {}
  Carrier(std::size_t its_item, const Cell& cell) : item(its_item), step(cell.row.step), event(cell.column.event) {}
  Carrier(const Carrier&) = default;
  Carrier& operator=(const Carrier&) = default;
  Carrier(Carrier&& other) noexcept
      : item(other.item), value(other.value), step(std::exchange(other.step, Step::none)), event(other.event),
        worker(other.worker), padding(std::move(other.padding)) {}
  Carrier& operator=(Carrier&& other) noexcept {
    item = other.item;
    value = other.value;
    step = std::exchange(other.step, Step::none);
    event = other.event;
    worker = other.worker;
    padding = std::move(other.padding);
    return *this;
  }
  ~Carrier() {
    if (is_in_worker()) reach(Step::argument_destroyed);
  }

  /// Half of it is written.
  template <class Archive>
  void save(Archive& archive) const {
    archive(item, value, step, event, worker);
    reach(is_in_worker() ? Step::result_encoded : Step::argument_encoded);
    archive(padding);
  }
  /// Half of it is read.
  template <class Archive>
  void load(Archive& archive) {
    archive(item, value, step, event, worker);
    reach(is_in_worker() ? Step::argument_decoded : Step::result_decoded);
    archive(padding);
  }

  [[nodiscard]] bool is_meant_here() const {
    return !worker || !is_in_worker() || *worker == procpool::this_worker::index();
  }
  void reach(Step reached) const {
    if (step == reached && is_meant_here()) bring_about(event);
  }

  std::size_t item = 0;
  std::size_t value = 0;
  Step step = Step::none;
  Event event = Event::exception;
  std::optional<std::size_t> worker;  // empty: any
  std::string padding = std::string(1000, 'p');
};

std::size_t value_of(std::size_t item) { return 2 * item + 1; }

Carrier work(Carrier argument) {
  ++board().runs[argument.item];
  argument.reach(Step::runs);
  Carrier result(argument.item);
  result.value = value_of(argument.item);
  result.event = argument.event;
  if (argument.step > Step::argument_destroyed && argument.is_meant_here()) result.step = argument.step;
  return result;
}

Carrier add(Carrier a, const Carrier& b) {
  a.value += b.value;
  if (b.step == Step::none) return a;
  a.step = b.step;
  a.event = b.event;
  return a;
}

bool is_right(const Carrier& result) {
  return result.value == value_of(result.item) && result.padding == std::string(1000, 'p');
}

std::vector<Carrier> good_items() {
  std::vector<Carrier> list;
  for (std::size_t item = 0; item < matrix_items; ++item) list.emplace_back(item);
  return list;
}
std::vector<Carrier> items_of(const Cell& cell) {
  std::vector<Carrier> list = good_items();
  list[bad_item] = Carrier(bad_item, cell);
  return list;
}

template <class Call>
std::exception_ptr failure_of(Call call) {
  try {
    static_cast<void>(call());
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

/// It is the exception that was thrown, which tells its origin if that is a worker; or the death that came about.
void check_failure(const Cell& cell, const std::exception_ptr& failure, std::optional<std::size_t> position) {
  REQUIRE(failure != nullptr);
  try {
    std::rethrow_exception(failure);
  } catch (const WorkerDied& death) {
    CHECK(cell.is_death());
    CHECK(death.signal() == cell.ending().signal);
    CHECK(death.exit_status() == cell.ending().exit_status);
    CHECK(death.position() == position);
    CHECK(death.pid() == board().victim);
    CHECK(death.label() == "matrix");
  } catch (const std::range_error& error) {
    CHECK_FALSE(cell.is_death());
    CHECK(std::string(error.what()) == "as it was wished");
    const auto* const origin = dynamic_cast<const RemoteOrigin*>(&error);
    REQUIRE((origin != nullptr) == cell.row.is_in_worker);
    if (origin != nullptr) {
      CHECK(origin->pid() == board().victim);
      CHECK(origin->label() == "matrix");
      CHECK(origin->type_name() == "std::range_error");
    } else {
      CHECK(board().victim == ::getpid());
    }
  } catch (const std::exception& error) {
    FAIL("another failure: " << error.what());
  }
}

/// Every item ran once; the bad one only if it came to that.
void check_runs(const Cell& cell) {
  for (std::size_t item = 0; item < matrix_items; ++item) {
    const int runs = board().runs[item];
    if (runs != (item == bad_item ? cell.runs_of_the_bad_one() : 1))
      FAIL("item " << item << " ran " << runs << " times");
  }
}

/// A verb that could not send an item sent none behind it, and ran none twice.
void check_runs_of_a_call_that_failed() {
  for (std::size_t item = 0; item < matrix_items; ++item) {
    const int runs = board().runs[item];
    if (runs > (item < bad_item ? 1 : 0)) FAIL("item " << item << " ran " << runs << " times");
  }
}

/// Checks one verb in all cells, in one pool.
template <class Verb>
void fill_matrix(Verb verb, std::vector<std::size_t> chunk_sizes) {
  board();  // There before the workers.
  const Executioner executioner;
  ProcessPool pool{matrix_workers};
  std::size_t deaths = 0;
  for (const Row& row : rows) {
    for (const Column& column : columns) {
      const Cell cell{row, column};
      if (!cell.exists()) continue;
      for (const std::size_t chunk_size : chunk_sizes) {
        INFO(column.name << " " << row.name << ", chunks of " << chunk_size);
        const auto check = [&](const auto& call) {
          for (auto& runs : board().runs) runs = 0;
          board().victim = 0;
          call();
          deaths += cell.is_death() ? 1 : 0;
        };
        verb(pool.with({.chunk_size = chunk_size, .label = "matrix"}), pool, cell, chunk_size, check);

        const auto values = pool.map(work, good_items());
        REQUIRE(values.size() == matrix_items);
        for (std::size_t item = 0; item < matrix_items; ++item)
          REQUIRE((values[item].item == item && is_right(values[item])));
        pool.wait_idle();
        CHECK(pool.stats().worker_deaths == deaths);
        CHECK(support::what_is_left(pool) == "");
      }
    }
  }
}

/// What an iteration over a lazy map gave.
struct Read {
  std::vector<std::size_t> order;
  std::vector<std::exception_ptr> failures;  // of items
  std::exception_ptr end;                    // what ended it early
};
template <class Results>
Read read_all(Results results) {
  Read read;
  read.end = failure_of([&] {
    for (auto it = results.begin(); it != results.end(); ++it) {
      const auto failure = failure_of([&] {
        const Carrier& result = *it;
        if (!is_right(result)) FAIL("item " << result.item << " has a wrong value");
        read.order.push_back(result.item);
        return 0;
      });
      if (failure) read.failures.push_back(failure);
    }
    return 0;
  });
  return read;
}

/// The items that a lazy map gives in this cell, in order.
std::vector<std::size_t> items_given_in(const Cell& cell) {
  std::vector<std::size_t> given;
  for (std::size_t item = 0; item < (cell.fails_to_send() ? bad_item : matrix_items); ++item) {
    if (item != bad_item) given.push_back(item);
  }
  return given;
}

/// What could not be sent comes behind the items before it, as what the range itself throws; any other failure at the
/// place of its item.
void check_read(const Cell& cell, const Read& read) {
  REQUIRE(read.failures.size() == (cell.fails_to_send() ? 0 : 1));
  REQUIRE((read.end != nullptr) == cell.fails_to_send());
  check_failure(cell, cell.fails_to_send() ? read.end : read.failures.front(), bad_item);
}

/// Its destructor may throw, and does in a worker.
struct ThrowsAtItsEnd {
  explicit ThrowsAtItsEnd(bool does = false) : throws(does) {}
  ThrowsAtItsEnd(const ThrowsAtItsEnd&) = default;
  ThrowsAtItsEnd& operator=(const ThrowsAtItsEnd&) = default;
  ThrowsAtItsEnd(ThrowsAtItsEnd&& other) noexcept(false) : throws(std::exchange(other.throws, false)) {}
  ThrowsAtItsEnd& operator=(ThrowsAtItsEnd&&) = delete;
  ~ThrowsAtItsEnd() noexcept(false) {
    if (throws && is_in_worker()) throw std::range_error("at its end");
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(throws);
  }

  bool throws;
};

}  // namespace

TEST_CASE("whatever happens at any step of a submitted task costs that task alone") {
  const auto verb = [](const auto& terms, auto&, const Cell& cell, std::size_t, const auto& check) {
    check([&] {
      std::vector<Future<Carrier>> futures(matrix_items);
      std::exception_ptr failure;
      for (std::size_t item = 0; item < matrix_items; ++item) {
        const Carrier argument = item == bad_item ? Carrier(item, cell) : Carrier(item);
        const auto sending = failure_of([&] { return futures[item] = terms.submit(work, argument), 0; });
        if (sending) failure = sending;
        REQUIRE((sending != nullptr) == (item == bad_item && cell.fails_to_send()));
      }
      for (std::size_t item = 0; item < matrix_items; ++item) {
        if (item != bad_item) REQUIRE(is_right(futures[item].get()));
        else if (!cell.fails_to_send()) failure = failure_of([&] { return futures[item].get(); });
      }
      check_failure(cell, failure, std::nullopt);
      check_runs(cell);
    });
  };
  fill_matrix(verb, {1});
}

TEST_CASE("whatever happens at any step of an item of a map costs that item alone") {
  const auto verb = [](const auto& terms, auto& pool, const Cell& cell, std::size_t, const auto& check) {
    check([&] {
      check_failure(cell, failure_of([&] { return terms.map(work, items_of(cell)); }), bad_item);
      if (!cell.fails_to_send()) return check_runs(cell);
      pool.wait_idle();
      check_runs_of_a_call_that_failed();
    });
    if (cell.fails_to_send()) return;  // There are no outcomes.
    check([&] {
      const auto outcomes = terms.map_outcomes(work, items_of(cell));
      REQUIRE(outcomes.size() == matrix_items);
      for (std::size_t item = 0; item < matrix_items; ++item) {
        REQUIRE(outcomes[item].position() == item);
        if (item != bad_item) REQUIRE(is_right(*outcomes[item]));
      }
      check_failure(cell, outcomes[bad_item].exception(), bad_item);
      check_runs(cell);
    });
  };
  fill_matrix(verb, {1, 4});
}

TEST_CASE("whatever happens at any step of an item of an imap costs that item alone") {
  const auto verb = [](const auto& terms, auto&, const Cell& cell, std::size_t, const auto& check) {
    check([&] {
      const Read read = read_all(terms.imap(work, items_of(cell)));
      CHECK(read.order == items_given_in(cell));
      check_read(cell, read);
      if (!cell.fails_to_send()) check_runs(cell);
      else check_runs_of_a_call_that_failed();
    });
  };
  fill_matrix(verb, {1, 4});
}

TEST_CASE("whatever happens at any step of an item of an imap_unordered costs that item alone") {
  const auto verb = [](const auto& terms, auto&, const Cell& cell, std::size_t, const auto& check) {
    check([&] {
      Read read = read_all(terms.imap_unordered(work, items_of(cell)));
      std::sort(read.order.begin(), read.order.end());
      CHECK(read.order == items_given_in(cell));
      check_read(cell, read);
      if (!cell.fails_to_send()) check_runs(cell);
      else check_runs_of_a_call_that_failed();
    });
  };
  fill_matrix(verb, {1, 4});
}

TEST_CASE("whatever happens at any step of an item of a map_reduce fails the reduction once all others have run") {
  const auto verb = [](const auto& terms, auto& pool, const Cell& cell, std::size_t chunk_size, const auto& check) {
    // A chunk has one result, for which its last item stands.
    const std::size_t chunk_end = std::min(matrix_items, (bad_item / chunk_size + 1) * chunk_size);
    const std::size_t position = cell.row.step > Step::argument_destroyed ? chunk_end - 1 : bad_item;
    check([&] {
      check_failure(cell, failure_of([&] { return terms.map_reduce(work, add, Carrier(), items_of(cell)); }), position);
      if (!cell.fails_to_send()) return check_runs(cell);
      pool.wait_idle();
      check_runs_of_a_call_that_failed();
    });
    std::size_t sum = 0;
    for (std::size_t item = 0; item < matrix_items; ++item) sum += value_of(item);
    CHECK(terms.map_reduce(work, add, Carrier(), good_items()).value == sum);
  };
  fill_matrix(verb, {1, 4});
}

TEST_CASE("whatever happens at any step of a call on each worker costs one worker's call alone") {
  const auto verb = [](const auto& terms, auto& pool, const Cell& cell, std::size_t, const auto& check) {
    check([&] {
      Carrier argument(0, cell);
      argument.worker = bad_worker;
      check_failure(cell, failure_of([&] { return terms.run_on_each_worker(work, argument); }), std::nullopt);
      pool.wait_idle();
      const int runs_of_others = cell.fails_to_send() ? 0 : static_cast<int>(matrix_workers) - 1;
      CHECK(board().runs[0] == runs_of_others + cell.runs_of_the_bad_one());
    });
    const auto results = terms.run_on_each_worker(work, Carrier(3));
    REQUIRE(results.size() == matrix_workers);
    for (const Carrier& result : results) CHECK((result.item == 3 && is_right(result)));
  };
  fill_matrix(verb, {1});
}

TEST_CASE("an argument whose destructor may throw, and does, fails its task alone") {
  ProcessPool pool{1};
  const auto take = [](ThrowsAtItsEnd) { return std::string("taken"); };
  CHECK_THROWS_WITH(pool.submit(take, ThrowsAtItsEnd(true)).get(), "at its end");
  CHECK(pool.submit(take, ThrowsAtItsEnd()).get() == "taken");
  const std::vector<ThrowsAtItsEnd> list{ThrowsAtItsEnd(), ThrowsAtItsEnd(true), ThrowsAtItsEnd()};
  const auto outcomes = pool.with({.chunk_size = 3}).map_outcomes(take, list);
  CHECK(*outcomes.at(0) == "taken");
  CHECK_THROWS_AS(outcomes.at(1).value(), std::range_error);
  CHECK(*outcomes.at(2) == "taken");
  CHECK(pool.stats().worker_deaths == 0);
  pool.wait_idle();
  CHECK(support::what_is_left(pool) == "");
}
