// SPDX-License-Identifier: BSL-1.0

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/leftovers.hpp"
#include "../support/patience.hpp"
#include "../support/refusing_operator_new.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"
#include "../support/user_process.hpp"

using procpool::BrokenPool;
using procpool::Future;
using procpool::ProcessPool;
using procpool::TaskTimeout;
using procpool::WorkerDied;
using support::eventually;
using support::kill_worker;
using support::Refusals;
using support::twice;
using support::UserProcess;

namespace {

/// While it lives, operator new refuses all other threads of the process what they ask for.
class NoMemoryForOthers {
 public:
  NoMemoryForOthers() {
    Refusals::is_exempt = true;
    Refusals::are_for_others = true;
  }
  NoMemoryForOthers(const NoMemoryForOthers&) = delete;
  NoMemoryForOthers& operator=(const NoMemoryForOthers&) = delete;
  ~NoMemoryForOthers() { Refusals::are_for_others = false; }

  /// Waits until somebody has asked in vain, so many times more.
  [[nodiscard]] static bool was_felt(int times = 3) {
    const int before = Refusals::count.load();
    return eventually([&] { return Refusals::count.load() >= before + times; }, std::chrono::seconds(20));
  }
};

template <class Expected, class T>
[[nodiscard]] bool fails_with(Future<T> future) {
  try {
    static_cast<void>(future.get());
  } catch (const Expected&) {
    return true;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "it failed otherwise: %s\n", error.what());
  }
  return false;
}

/// What a lazy map gives that is refused memory at each step.
struct LazilyRead {
  std::vector<int> values;
  bool is_told_at_end = false;  // that it had no memory
  bool was_refused = false;
};

/// `refuse()` begins the refusals; of each step that throws there is a second one, with memory.
template <class Results, class Refuse>
[[nodiscard]] LazilyRead read_with_refusals(Results results, Refuse refuse) {
  LazilyRead read;
  const int before = Refusals::count.load();
  for (auto next = results.begin(); next != results.end();) {
    read.values.push_back(*next);
    read.is_told_at_end = false;
    refuse();
    try {
      ++next;
    } catch (const std::bad_alloc&) {
      read.is_told_at_end = true;
    }
    Refusals::next = -1;
    Refusals::are_for_others = false;
    if (read.is_told_at_end) ++next;
  }
  read.was_refused = Refusals::count.load() != before;
  return read;
}

/// No item is missing before one that was given; and none behind them, unless that was told.
void require_whole(LazilyRead read, int items) {
  std::sort(read.values.begin(), read.values.end());
  REQUIRE((read.is_told_at_end || read.values.size() == static_cast<std::size_t>(items)));
  for (std::size_t i = 0; i < read.values.size(); ++i) REQUIRE(read.values[i] == 2 * static_cast<int>(i));
}

}  // namespace

TEST_CASE("a worker that dies while the user's process has no memory is told of, once, when there is some") {
  UserProcess user([] {
    ProcessPool pool{2};
    static_cast<void>(support::pids_of(pool));
    std::optional<Future<void>> dead;
    {
      const NoMemoryForOthers no_memory;
      dead = pool.submit(kill_worker);
      if (!no_memory.was_felt()) return 1;
      if (pool.submit(twice, 4).get() != 8) return 2;  // The other worker goes on.
      if (dead->is_ready()) return 3;
    }
    if (!fails_with<WorkerDied>(std::move(*dead))) return 4;
    if (pool.stats().worker_deaths != 1) return 5;
    if (pool.map(twice, std::vector{1, 2, 3}) != std::vector{2, 4, 6}) return 6;
    return support::pids_of(pool).size() == 2 ? 0 : 7;
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a task that runs too long while the user's process has no memory fails when there is some") {
  UserProcess user([] {
    ProcessPool pool{1};
    static_cast<void>(support::pids_of(pool));
    std::optional<Future<void>> late;
    {
      auto on_time = pool.with({.timeout = std::chrono::milliseconds(5), .grace = std::chrono::hours(1)});
      const NoMemoryForOthers no_memory;
      late = on_time.submit([] {
        while (!procpool::this_task::stop_requested()) ::usleep(1000);  // sleeps: until it is asked to stop
      });
      if (!no_memory.was_felt()) return 1;
      if (late->is_ready()) return 2;
    }
    return fails_with<TaskTimeout>(std::move(*late)) && pool.submit(twice, 4).get() == 8 ? 0 : 3;
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
}

TEST_CASE("a pool whose zygote is killed while the user's process has no memory is broken at once") {
  UserProcess user([] {
    ProcessPool pool{1};
    const ::pid_t zygote = support::zygote_of(pool);
    auto task = pool.submit([] {
      for (;;) ::pause();
    });
    const NoMemoryForOthers no_memory;
    ::kill(zygote, SIGKILL);
    return fails_with<BrokenPool>(std::move(task)) ? 0 : 1;
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a pool with a stopped worker ends though the user's process has no memory to look for such") {
  UserProcess user([] {
    std::optional<ProcessPool<>> pool(std::in_place, 1);
    ::kill(support::pids_of(*pool).front(), SIGSTOP);
    const NoMemoryForOthers no_memory;
    pool.reset();
    return 0;
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a continuation for which the user's process has no memory fails alone") {
  UserProcess user([] {
    support::SharedGate gate;
    ProcessPool pool{1};
    auto source = pool.submit([gate = gate.get()] { return gate->pass(), 1; });
    auto other = pool.submit([gate = gate.get()] { return gate->pass(), 2; });
    auto failing = pool.submit([gate = gate.get()]() -> int {
      gate->pass();
      throw std::runtime_error("a text that is too long for a string to hold in itself");
    });
    auto next = source.then([](int value) { return std::string(1000, 'x').size() + static_cast<std::size_t>(value); });
    auto both = procpool::when_all(std::move(other), std::move(failing));
    const NoMemoryForOthers no_memory;
    gate->open();
    if (!fails_with<std::bad_alloc>(std::move(next))) return 1;
    return fails_with<std::bad_alloc>(std::move(both)) ? 0 : 2;
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
}

TEST_CASE("what cannot be begun for want of memory throws, and no count has the future that nobody got") {
  const support::SharedGate gate;
  ProcessPool pool{1};
  const support::OpensAtEnd opens(gate);
  auto running = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  const auto refuse_in_turn = [&pool](auto begin) {
    int refused = 0;
    for (bool is_done = false; !is_done; ++refused) {
      std::vector<Future<int>> given;
      for (int i = 0; i < 2; ++i) given.push_back(pool.submit(twice, i));
      Refusals::next = refused;
      try {
        begin(given);
        is_done = Refusals::next >= 0;
      } catch (const std::bad_alloc&) {
      }
      Refusals::next = -1;
    }
    CHECK(refused > 3);
  };
  refuse_in_turn([](std::vector<Future<int>>& given) { procpool::when_all(given); });
  refuse_in_turn([&pool](const std::vector<Future<int>>&) { pool.map_async(twice, std::vector{1, 2}); });
  gate->open();
  running.get();
  pool.wait_idle();
  CHECK(pool.stats().failed == 0);
  CHECK(pool.stats().dropped_failures == 0);
}

TEST_CASE("a pool ends without memory, and what was submitted before has its result") {
  UserProcess user([] {
    std::optional<ProcessPool<>> pool(std::in_place, 1);
    Future<int> kept = pool->submit(twice, 4);
    static_cast<void>(pool->submit(twice, 5));
    Refusals::are_for_others = true;
    pool.reset();
    Refusals::are_for_others = false;
    return kept.get() == 8 ? 0 : 1;
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a lazy map that finds no memory now and then skips no item in silence") {
  constexpr int items = 40;
  ProcessPool pool{1};
  const auto terms = pool.with({.chunk_size = 8});
  const std::vector<int> input = support::numbers(items);
  const auto check = [](LazilyRead read) {
    require_whole(read, items);
    return read.was_refused;
  };
  int refused = 0;
  for (bool was_refused = true; was_refused; ++refused) {
    CAPTURE(refused);
    const auto refuse = [refused] { Refusals::next = refused; };
    const LazilyRead in_order = read_with_refusals(terms.imap(twice, input), refuse);
    REQUIRE(std::is_sorted(in_order.values.begin(), in_order.values.end()));
    was_refused = check(in_order);
    was_refused |= check(read_with_refusals(terms.imap_unordered(twice, input), refuse));
  }
  CHECK(refused > 3);
  const auto refuse_all = [] { Refusals::are_for_others = true; };
  const LazilyRead in_order = read_with_refusals(terms.imap(twice, input), refuse_all);
  CHECK(std::is_sorted(in_order.values.begin(), in_order.values.end()));
  CHECK(check(in_order));
  CHECK(check(read_with_refusals(terms.imap_unordered(twice, input), refuse_all)));
}

TEST_CASE("a pool for which there is no memory is not made, and leaves nothing open") {
  constexpr int nothing_refused = 3;
  int status = 0;
  int refused = 0;
  for (; status == 0; ++refused) {
    // In a process of its own: the list of all pools' descriptors keeps the room that it once had.
    UserProcess user([refused] {
      ::alarm(60);  // if it waits for itself for ever
      ::pthread_atfork(nullptr, nullptr, [] { Refusals::next = -1; });
      const support::Belongings before = support::Belongings::now();
      try {
        Refusals::next = refused;
        const ProcessPool pool{1};
        const bool was_refused = Refusals::next < 0;
        Refusals::next = -1;
        return was_refused ? 2 : nothing_refused;
      } catch (const std::bad_alloc&) {
      } catch (const procpool::SharedMemoryExhausted&) {
      }
      Refusals::next = -1;
      return support::left_since(before).empty() ? 0 : 1;
    });
    status = user.wait();
  }
  CAPTURE(refused);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == nothing_refused));
  CHECK(refused > 10);
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("the process that makes the workers needs no memory to replace one and to end what its task has forked") {
  static ::pid_t maker = 0;
  procpool::PoolOptions options;
  options.workers = 1;
  options.preload = [] {
    maker = ::getpid();
    const auto refuse_from_the_first_worker_on = [] { Refusals::are_for_others = ::getpid() == maker; };
    const auto refuse_no_worker = [] { Refusals::are_for_others = false; };
    ::pthread_atfork(refuse_from_the_first_worker_on, nullptr, refuse_no_worker);
  };
  ProcessPool pool{std::move(options)};
  auto dies = pool.submit([] {
    if (::fork() == 0) {
      for (;;) ::pause();
    }
    ::raise(SIGKILL);
  });
  CHECK(fails_with<WorkerDied>(std::move(dies)));
  CHECK(pool.submit(twice, 4).get() == 8);
  CHECK(pool.stats().worker_deaths == 1);
  pool.close();
  pool.join();
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a task for whose progress there is no memory is not submitted, and nothing is told of it") {
  const support::SharedGate gate;
  ProcessPool pool{1};
  const support::OpensAtEnd opens(gate);
  auto running = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  std::array<std::atomic<int>, 100> told{};
  Future<int> submitted;
  std::size_t refused = 0;
  for (; !submitted.valid(); ++refused) {
    const auto terms = pool.with({}).on_progress([&count = told.at(refused)](const procpool::Progress&) { ++count; });
    Refusals::next = static_cast<int>(refused);
    try {
      submitted = terms.submit(twice, 4);
    } catch (const std::bad_alloc&) {
    }
    Refusals::next = -1;
  }
  CHECK(refused > 5);
  CHECK(pool.stats().submitted == 2);
  gate->open();
  CHECK(submitted.get() == 8);
  CHECK(eventually([&] { return told.at(refused - 1) > 0; }));
  CHECK(std::count_if(told.begin(), told.end(), [](const auto& count) { return count > 0; }) == 1);
}

TEST_CASE("who waits by on_ready is called though there is no memory to say what the task has ended with") {
  UserProcess user([] {
    const support::SharedGate gate;
    ProcessPool pool{1};
    const support::OpensAtEnd opens(gate);
    auto running = pool.submit([gate = gate.get()] { gate->pass(); });
    std::atomic<int> told{0};
    const auto tell = [&told](const procpool::Outcome<int>& outcome) {
      try {
        told += outcome.value();
      } catch (const std::bad_alloc&) {
        ++told;
      } catch (...) {
        told += 100;
      }
    };
    auto alone = pool.submit(twice, 4);
    alone.on_ready(tell);
    auto shared = pool.submit(twice, 4).share();
    shared.on_ready(tell);
    const NoMemoryForOthers no_memory;
    if (!alone.cancel() || !shared.cancel()) return 1;
    if (!eventually([&] { return told != 0; })) return 2;
    return eventually([&] { return told == 2; }) ? 0 : 3;
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
}

TEST_CASE("an item that throws in a worker that has no memory fails alone") {
  ProcessPool pool{1};
  const auto refuse_the_first = [](int item) {
    Refusals::are_for_others = item == 0;
    if (item == 0) throw item;
    return item;
  };
  const auto outcomes = pool.with({.chunk_size = 2}).map_outcomes(refuse_the_first, std::vector{0, 1});
  REQUIRE(outcomes.size() == 2);
  CHECK_THROWS_AS(outcomes[0].value(), procpool::RemoteError);
  CHECK(outcomes[1].value() == 1);
  auto alone = pool.submit(refuse_the_first, 0);
  CHECK_THROWS_AS(alone.get(), procpool::RemoteError);
  CHECK(pool.submit(refuse_the_first, 1).get() == 1);
  CHECK(pool.stats().worker_deaths == 0);
}
