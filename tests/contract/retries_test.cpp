// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using procpool::Cancelled;
using procpool::Future;
using procpool::Outcome;
using procpool::ProcessPool;
using procpool::TaskTimeout;
using procpool::UsageError;
using procpool::WorkerDied;
using support::eventually;
using support::SharedCount;
using support::SharedGate;

namespace {

using Count = std::atomic<int>;

/// Dies in the first `deaths` tries; the number of the try that does not.
int die_at_first(Count* tries, int deaths) {
  const int attempt = ++*tries;
  if (attempt <= deaths) ::raise(SIGKILL);
  return attempt;
}
int throw_at_first(Count* tries, int failures) {
  const int attempt = ++*tries;
  if (attempt <= failures) throw std::out_of_range("try " + std::to_string(attempt));
  return attempt;
}
int hang_at_first(Count* tries, int hangs) {
  const int attempt = ++*tries;
  while (attempt <= hangs) ::pause();
  return attempt;
}

template <class F>
WorkerDied death_of(F read) {
  try {
    static_cast<void>(read());
  } catch (const WorkerDied& death) {
    return death;
  }
  throw std::logic_error("it did not die");
}

/// How often each item of a map was tried.
struct Tally {
  std::atomic<int> tries[64] = {};
};

/// Which worker died at which try of an item of a map, of at most three.
struct Victims {
  Tally tally;
  std::array<std::array<std::atomic<::pid_t>, 3>, 64> pids{};
};

/// By what an item kills its worker.
int signal_of(std::size_t item, std::size_t attempt) {
  return std::array{SIGKILL, SIGTERM, SIGUSR1}[(item + attempt) % 3];
}

}  // namespace

TEST_CASE("a task runs once, unless its terms allow retries") {
  SharedCount tries;
  ProcessPool pool{1};
  const WorkerDied death =
      death_of([&] { return pool.submit([t = tries.get()] { return die_at_first(t, 1); }).get(); });
  CHECK(death.attempt() == 1);
  CHECK(death.earlier().empty());
  CHECK_THROWS_WITH(pool.submit([t = tries.get()] { return throw_at_first(t, 2); }).get(), "try 2");
  CHECK(*tries == 2);
}

TEST_CASE("a task whose worker dies is tried again as often as `retries` says") {
  SharedCount tries;
  ProcessPool pool{1};
  const auto patient = pool.with({.retries = 3, .label = "patient"});
  const auto try_with = [&](int deaths) {
    return patient.submit([tries = tries.get()](int n) { return die_at_first(tries, n); }, deaths);
  };
  CHECK(try_with(3).get() == 4);
  CHECK(pool.stats().worker_deaths == 3);
  CHECK(pool.stats().failed == 0);

  *tries = 0;
  const WorkerDied death = death_of([&] { return try_with(100).get(); });
  CHECK(*tries == 4);
  CHECK(death.attempt() == 4);
  CHECK(death.label() == "patient");
  REQUIRE(death.earlier().size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(death.earlier()[i].attempt == static_cast<int>(i) + 1);
    CHECK(death.earlier()[i].signal == SIGKILL);
    CHECK(death.earlier()[i].pid != death.pid());
  }
}

TEST_CASE("a task that waits to be tried again is cancelled, but nobody is told that it never ran") {
  SharedCount tries;
  SharedCount lives;
  SharedGate gate;
  ProcessPool pool{{.workers = 1}, [lives = lives.get(), gate = gate.get()] {
                     if (++*lives > 1) gate->pass();
                   }};
  const support::OpensAtEnd opens{gate};
  Future<int> task = pool.with({.retries = 5}).submit([tries = tries.get()] { return die_at_first(tries, 1); });
  REQUIRE(gate->is_reached_by(1));
  CHECK_FALSE(task.is_running());
  CHECK_FALSE(task.cancel());
  CHECK_FALSE(task.cancel());
  CHECK_THROWS_WITH(task.get(), "the task was cancelled before it was tried again");
  gate->open();
  pool.wait_idle();
  CHECK(*tries == 1);
}

TEST_CASE("arguments are whole at every try, small, large, and movable only") {
  SharedCount tries;
  ProcessPool pool{1};
  const auto twice = pool.with({.retries = 1});
  const std::string large(100'000, 'x');
  Future<std::size_t> future = twice.submit(
      [tries = tries.get()](std::string text, std::unique_ptr<int> number) {
        const std::size_t sum = text.size() + static_cast<std::size_t>(*number);
        text.clear();
        *number = 0;
        die_at_first(tries, 1);
        return sum;
      },
      large, std::make_unique<int>(7));
  CHECK(future.get() == large.size() + 7);
  CHECK(*tries == 2);
}

TEST_CASE("a task that throws is tried again as often as `retries_on_exception` says") {
  SharedCount tries;
  ProcessPool pool{1};
  const auto patient = pool.with({.retries_on_exception = 2});
  const auto try_with = [&](int failures) {
    return patient.submit([tries = tries.get()](int n) { return throw_at_first(tries, n); }, failures);
  };
  CHECK(try_with(2).get() == 3);
  *tries = 0;
  CHECK_THROWS_WITH(try_with(100).get(), "try 3");
  CHECK(*tries == 3);
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("a task that runs too long is tried again as often as `retries_on_timeout` says") {
  SharedCount tries;
  ProcessPool pool{1};
  const auto patient = pool.with({.timeout = 20ms, .grace = 0ms, .retries_on_timeout = 2});
  const auto try_with = [&](int hangs) {
    return patient.submit([tries = tries.get()](int n) { return hang_at_first(tries, n); }, hangs);
  };
  CHECK(try_with(2).get() == 3);
  *tries = 0;
  CHECK_THROWS_AS(try_with(100).get(), TaskTimeout);
  CHECK(*tries == 3);
}

TEST_CASE("a try that is not the last one is not asked to stop for the one before") {
  SharedCount tries;
  ProcessPool pool{1};
  const auto patient = pool.with({.timeout = 30ms, .grace = 0ms, .retries_on_timeout = 1});
  Future<bool> future = patient.submit([tries = tries.get()] {
    hang_at_first(tries, 1);
    return procpool::this_task::stop_requested();
  });
  CHECK_FALSE(future.get());
}

TEST_CASE("the budgets are apart: one for deaths, one for exceptions, one for timeouts") {
  SharedCount tries;
  ProcessPool pool{1};
  const auto task = [tries = tries.get()] {
    switch (++*tries) {
      case 1: ::raise(SIGSEGV); break;
      case 2: throw std::runtime_error("once");
      case 3:
        for (;;) ::pause();
      default: break;
    }
    return tries->load();
  };
  CHECK(pool.with({.timeout = 50ms, .grace = 0ms, .retries = 1, .retries_on_exception = 1, .retries_on_timeout = 1})
            .submit(task)
            .get() == 4);
  *tries = 0;
  CHECK(death_of([&] {
          return pool.with({.retries_on_exception = 9, .retries_on_timeout = 9}).submit(task).get();
        }).attempt() == 1);
}

TEST_CASE("a death tells that a try before it took too long, which was no death") {
  SharedCount tries;
  ProcessPool pool{1};
  const auto terms = pool.with({.timeout = 200ms, .grace = 0ms, .retries_on_timeout = 1});
  const WorkerDied death = death_of([&] {
    return terms
        .submit([tries = tries.get()] {
          hang_at_first(tries, 1);
          ::raise(SIGKILL);
          return 0;
        })
        .get();
  });
  CHECK(*tries == 2);
  CHECK(death.attempt() == 2);
  CHECK(death.earlier().empty());
}

TEST_CASE("each item of a map has the retries, however the items are packed") {
  support::Shared<Tally> tally;
  ProcessPool pool{2};
  std::vector<int> items(60);
  std::iota(items.begin(), items.end(), 0);
  const auto die_once = [tally = tally.get()](int i) {
    const bool is_first = ++tally->tries[i] == 1;
    if (is_first && i % 7 == 3) ::raise(SIGKILL);
    if (is_first && i % 7 == 5) throw std::runtime_error("once");
    return i * i;
  };
  const auto patient = pool.with({.retries = 1, .retries_on_exception = 1, .chunk_size = 20});
  SECTION("map") {
    const std::vector<int> squares = patient.map(die_once, items);
    for (int i : items) CHECK(squares[static_cast<std::size_t>(i)] == i * i);
    for (int i : items) CHECK(tally->tries[i] == 1 + (i % 7 == 3 || i % 7 == 5));
  }
  SECTION("exceptions alone, many in a chunk") {
    const auto throw_once = [tally = tally.get()](int i) {
      if (++tally->tries[i] == 1 && i % 3 == 0) throw std::runtime_error("once");
      return i;
    };
    CHECK(patient.map(throw_once, items) == items);
    for (int i : items) CHECK(tally->tries[i] == 1 + (i % 3 == 0));
  }
  SECTION("timeouts alone, more than one where a chunk would be") {
    const auto timed = pool.with({.timeout = 50ms, .grace = 0ms, .retries_on_timeout = 1, .chunk_size = 20});
    const auto hang_once = [tally = tally.get()](int i) {
      const bool is_first = ++tally->tries[i] == 1;
      while (is_first && i % 10 == 0) ::pause();
      return i;
    };
    CHECK(timed.map(hang_once, items) == items);
    for (int i = 0; i < 60; i += 10) CHECK(tally->tries[i] == 2);
  }
  SECTION("imap") {
    std::vector<int> squares;
    for (int square : patient.imap(die_once, items)) squares.push_back(square);
    REQUIRE(squares.size() == items.size());
    for (int i : items) CHECK(squares[static_cast<std::size_t>(i)] == i * i);
  }
  SECTION("map_reduce") {
    const auto one_death = [tally = tally.get()](int i) {
      if (i == 33 && ++tally->tries[i] == 1) ::raise(SIGKILL);
      return static_cast<long>(i);
    };
    CHECK(patient.map_reduce(one_death, std::plus<>{}, 0L, items) == 60 * 59 / 2);
  }
  SECTION("what dies at every try is lost alone, and says so") {
    const auto outcomes = patient.map_outcomes([](int i) { return i == 30 ? (::raise(SIGKILL), 0) : i; }, items);
    for (const auto& outcome : outcomes) {
      if (outcome.position() != 30) {
        CHECK(*outcome == static_cast<int>(outcome.position()));
        continue;
      }
      const WorkerDied death = death_of([&] { return outcome.value(); });
      CHECK(death.position() == 30);
      CHECK(death.attempt() == 2);
      CHECK(death.earlier().size() == 1);
    }
  }
}

TEST_CASE("an item whose retries are spent carries the report of each death, and of no other item's") {
  constexpr int last = 11;
  const support::Shared<Victims> victims;
  ProcessPool pool{2};
  const std::vector<int> items = support::numbers(last + 1);
  // Items 4, 5 and the last die at every try, item 8 at the first two, each time by another signal.
  const auto run = [victims = victims.get()](int i) {
    const auto item = static_cast<std::size_t>(i);
    const auto attempt = static_cast<std::size_t>(victims->tally.tries[i]++);
    const bool dies = i == 4 || i == 5 || i == last || (i == 8 && attempt < 2);
    if (!dies) return i;
    victims->pids[item][attempt] = ::getpid();
    ::raise(signal_of(item, attempt));
    return -1;
  };
  const auto patient = pool.with({.retries = 2, .chunk_size = 6, .label = "patient"});
  const auto check_item = [&](const Outcome<int>& outcome) {
    const std::size_t position = outcome.position();
    INFO("item " << position);
    if (position != 4 && position != 5 && position != last) {
      CHECK(*outcome == static_cast<int>(position));
      return;
    }
    const WorkerDied death = death_of([&] { return outcome.value(); });
    CHECK(death.attempt() == 3);
    CHECK(death.position() == position);
    CHECK(death.label() == "patient");
    CHECK(death.signal() == signal_of(position, 2));
    CHECK(death.pid() == victims->pids[position][2]);
    REQUIRE(death.earlier().size() == 2);
    for (std::size_t attempt = 0; attempt < 2; ++attempt) {
      const procpool::DeathReport& earlier = death.earlier()[attempt];
      CHECK(earlier.attempt == static_cast<int>(attempt) + 1);
      CHECK(earlier.position == position);
      CHECK(earlier.label == "patient");
      CHECK(earlier.signal == signal_of(position, attempt));
      CHECK(earlier.pid == victims->pids[position][attempt]);
      CHECK(earlier.earlier.empty());
    }
  };
  std::size_t seen = 0;
  SECTION("map_outcomes") {
    for (const auto& outcome : patient.map_outcomes(run, items)) {
      check_item(outcome);
      ++seen;
    }
  }
  SECTION("imap_unordered_outcomes") {
    for (const auto& outcome : patient.imap_unordered_outcomes(run, items)) {
      check_item(outcome);
      ++seen;
    }
  }
  CHECK(seen == items.size());
  CHECK(pool.stats().worker_deaths == 3 * 3 + 2);
}

TEST_CASE("what was cancelled while it ran is not tried again") {
  SharedGate gate;
  SharedCount tries;
  ProcessPool pool{1};
  const support::OpensAtEnd opens{gate};
  Future<void> future =
      pool.with({.retries = 5, .retries_on_exception = 5}).submit([gate = gate.get(), tries = tries.get()] {
        ++*tries;
        gate->pass();
        ::raise(SIGKILL);
      });
  REQUIRE(gate->is_reached_by(1));
  CHECK_FALSE(future.cancel());
  gate->open();
  CHECK_THROWS_AS(future.get(), WorkerDied);
  CHECK(*tries == 1);
}

TEST_CASE("a negative number of retries is refused") {
  ProcessPool pool{1};
  CHECK_THROWS_AS(pool.with({.retries = -1}), UsageError);
  CHECK_THROWS_AS(pool.with({.retries_on_exception = -1}), UsageError);
  CHECK_THROWS_WITH(pool.with({.retries_on_timeout = -1}),
                    Catch::Matchers::Contains("TaskOptions::retries_on_timeout"));
}

TEST_CASE("what is sent to each worker is tried again by that worker and no other") {
  support::Shared<Tally> tally;
  SharedGate returning;
  SharedCount begun;
  ProcessPool pool{3, [returning = returning.get(), begun = begun.get()] {
                     if (++*begun > 3) returning->pass();
                   }};
  const support::OpensAtEnd opens{returning};
  // While the worker is not back, the others have had their chance: they have run what was sent later.
  std::thread others([&] {
    if (returning->is_reached_by(1)) pool.submit([] {}).get();
    returning->open();
  });
  const auto die_once = [tally = tally.get()] {
    const std::size_t index = procpool::this_worker::index();
    if (++tally->tries[index] == 1 && index == 1) ::raise(SIGKILL);
    return index;
  };
  CHECK(pool.with({.retries = 1}).run_on_each_worker(die_once) == std::vector<std::size_t>{0, 1, 2});
  others.join();
  CHECK(tally->tries[0] == 1);
  CHECK(tally->tries[1] == 2);
  CHECK(tally->tries[2] == 1);
}

TEST_CASE("a try after a death is not asked to stop for the deadline of the one that died") {
  SharedCount tries;
  ProcessPool pool{1};
  const auto patient = pool.with({.timeout = 20ms, .grace = 1h, .retries = 1, .retries_on_timeout = 1});
  Future<bool> future = patient.submit([tries = tries.get()] {
    if (++*tries > 1) return procpool::this_task::stop_requested();
    if (!eventually([] { return procpool::this_task::stop_requested(); }, 20s)) return true;
    ::raise(SIGKILL);
    return true;
  });
  CHECK_FALSE(future.get());
  CHECK(*tries == 2);
}

/// Hangs, the first time, where it is encoded in a worker: after the item, before the result of its chunk.
struct SlowToSend {
  long value = 0;
  Count* tries = nullptr;

  template <class Archive>
  void save(Archive& archive) const {
    if (tries != nullptr && procpool::this_task::label() == "sum" && ++*tries == 1) {
      for (;;) ::pause();
    }
    archive(value);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(value);
  }
};

TEST_CASE("a part of a map_reduce that was too slow with its result is computed anew") {
  SharedCount tries;
  ProcessPool pool{2};
  const auto patient = pool.with({.timeout = 50ms, .grace = 0ms, .retries_on_timeout = 1, .label = "sum"});
  const auto make = [tries = tries.get()](int i) { return SlowToSend{i, i == 3 ? tries : nullptr}; };
  const auto add = [](const SlowToSend& a, const SlowToSend& b) { return SlowToSend{a.value + b.value, nullptr}; };
  CHECK(patient.map_reduce(make, add, SlowToSend{}, std::vector<int>{1, 2, 3, 4, 5}).value == 15);
  CHECK(*tries == 2);
}
