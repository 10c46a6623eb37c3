// SPDX-License-Identifier: BSL-1.0

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"
#include "../support/user_process.hpp"

using procpool::BrokenPool;
using procpool::Future;
using procpool::PoolOptions;
using procpool::ProcessPool;
using support::die;
using support::twice;
using support::Way;

namespace {

/// The message of the BrokenPool that `action` throws, and that of the exception nested in it.
struct Breakage {
  std::string what;
  std::string cause;
};
template <class Action>
Breakage breakage_of(Action action) {
  try {
    action();
  } catch (const BrokenPool& broken) {
    try {
      std::rethrow_if_nested(broken);
    } catch (const std::exception& cause) {
      return {broken.what(), cause.what()};
    }
    return {broken.what(), ""};
  }
  throw std::logic_error("nothing was broken");
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("when the process that makes the workers is killed, everything that waits is told at once") {
  const support::SharedGate gate;
  std::optional<ProcessPool<>> pool(std::in_place, PoolOptions{.workers = 2, .queue_capacity = 8, .queue_bytes = 2000});
  const support::OpensAtEnd opens(gate);
  auto finished = pool->submit(twice, 21);
  finished.wait();
  std::vector<Future<int>> open;
  for (int i = 0; i < 6; ++i) {
    open.push_back(pool->submit(
        [gate = gate.get()](int x) {
          gate->pass();
          return x;
        },
        i));
  }
  REQUIRE(gate->is_reached_by(2));
  int continued = 0;
  auto next = std::move(open.back()).then([&](int) { return ++continued; });
  open.pop_back();
  const ::pid_t zygote = [&] {
    const auto entries = support::all_processes();
    return entries.at(support::pids_of(*pool).front()).parent;
  }();

  std::atomic<int> told{0};
  std::vector<std::thread> waiters;
  waiters.emplace_back([&] {
    CHECK_THROWS_AS(
        [&] {
          for (;;) static_cast<void>(pool->submit(twice, 1));  // Until the queue is full, and then it waits.
        }(),
        BrokenPool);
    ++told;
  });
  waiters.emplace_back([&] {
    const auto urgent = pool->with({.priority = procpool::Priority::high});
    CHECK_THROWS_AS(
        [&] {
          for (;;) static_cast<void>(urgent.submit(support::size_of, support::text_of(1500)));  // The same in bytes.
        }(),
        BrokenPool);
    ++told;
  });
  waiters.emplace_back([&] {
    pool->wait_idle();
    ++told;
  });
  waiters.emplace_back([&] {
    CHECK_THROWS_AS(pool->map(twice, std::vector<int>(100, 1)), BrokenPool);
    ++told;
  });
  ::kill(zygote, SIGKILL);
  for (auto& future : open) {
    const std::string what = breakage_of([&] { future.get(); }).what;
    CHECK(contains(what, "the process that makes this pool's workers has ended"));
  }
  for (auto& waiter : waiters) waiter.join();
  CHECK(told == 4);
  CHECK_THROWS_AS(next.get(), BrokenPool);
  CHECK(continued == 0);
  CHECK(finished.get() == 42);
  CHECK_THROWS_AS(pool->submit(twice, 1), BrokenPool);
  CHECK_THROWS_AS(pool->try_submit(twice, 1), BrokenPool);
  CHECK_THROWS_AS(pool->run_on_each_worker([] { return 1; }), BrokenPool);
  pool->wait_idle();
  pool->close();
  pool->join();
  pool.reset();
}

TEST_CASE("the end of the process that makes the workers is seen though another child holds its socket") {
  // A child that a thread of the user's forks while the pool is made, from which it inherits both ends.
  static bool is_armed = false;
  static ::pid_t child = 0;
  static const int registered = ::pthread_atfork(
      [] {
        if (!std::exchange(is_armed, false)) return;
        child = static_cast<::pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
        while (child == 0) ::pause();
      },
      nullptr, nullptr);
  REQUIRE(registered == 0);
  const support::SharedGate gate;
  is_armed = true;
  ProcessPool<> pool{1};
  const support::OpensAtEnd opens(gate);
  REQUIRE(child > 0);
  const ::pid_t zygote = support::zygote_of(pool);
  auto open = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  ::kill(zygote, SIGKILL);
  CHECK_THROWS_AS(open.get(), BrokenPool);
  ::kill(child, SIGKILL);
  CHECK(::waitpid(child, nullptr, 0) == child);
}

TEST_CASE("a pool whose zygote was killed can be destroyed, terminated, and waited for at any moment") {
  for (int round = 0; round < (support::is_full_run() ? 200 : 12); ++round) {
    std::optional<ProcessPool<>> pool(std::in_place, 2);
    const ::pid_t zygote = support::zygote_of(*pool);
    std::vector<Future<int>> open;
    for (int i = 0; i < 100; ++i) open.push_back(pool->submit(twice, i));
    std::thread killer([&] {
      for (int pause = round * 50; pause > 0; --pause) std::this_thread::yield();
      ::kill(zygote, SIGKILL);
    });
    switch (round % 4) {
      case 0: break;
      case 1: pool->terminate(); break;
      case 2: pool->wait_idle(); break;
      default: pool->close(); pool->join();
    }
    pool.reset();
    killer.join();
    int ended = 0;
    for (auto& future : open) {
      try {
        future.get();
      } catch (const BrokenPool&) {
      } catch (const procpool::PoolClosed&) {
      }
      ++ended;
    }
    CHECK(ended == 100);
  }
}

TEST_CASE("an initializer that throws breaks the pool with its own error") {
  const support::SharedCount runs;
  const ProcessPool pool{3, [&] {
                           ++*runs;
                           throw std::out_of_range("no such model");
                         }};
  const auto look = [&](auto action) {
    const Breakage breakage = breakage_of(action);
    CHECK(contains(breakage.what, "initializer"));
    CHECK(contains(breakage.what, "no such model"));
    CHECK(breakage.cause == "no such model");
  };
  look([&] { static_cast<void>(pool.submit(twice, 1).get()); });
  look([&] { static_cast<void>(pool.submit(twice, 1)); });
  look([&] { static_cast<void>(pool.map(twice, {1, 2, 3})); });
  CHECK(support::kin_that_stays() == "");
  CHECK(*runs <= 6);
}

TEST_CASE("the type of what an initializer threw stays") {
  const ProcessPool pool{1, [] { throw std::out_of_range("no such model"); }};
  try {
    static_cast<void>(pool.submit(twice, 1).get());
    FAIL("it has a value");
  } catch (const BrokenPool& broken) {
    CHECK_THROWS_AS(std::rethrow_if_nested(broken), std::out_of_range);
  }
}

TEST_CASE("an initializer that throws something odd breaks the pool too") {
  const ProcessPool number{1, [] { throw 42; }};
  CHECK(contains(breakage_of([&] { static_cast<void>(number.submit(twice, 1).get()); }).what, "initializer"));
  const ProcessPool novel{1, [] { throw std::runtime_error(std::string(100'000, 'x')); }};
  CHECK(contains(breakage_of([&] { static_cast<void>(novel.submit(twice, 1).get()); }).what, "initializer"));
}

TEST_CASE("an initializer that ends its worker breaks the pool instead of respawning for ever") {
  for (const Way way : {Way::segfault, Way::kill, Way::exit_0, Way::exit_42, Way::quiet_exit_3, Way::abort}) {
    const support::SharedCount runs;
    const ProcessPool pool{2, [&] {
                             ++*runs;
                             die(way);
                           }};
    const Breakage breakage = breakage_of([&] { static_cast<void>(pool.submit(twice, 1).get()); });
    CHECK(contains(breakage.what, "before they are ready"));
    CHECK(support::kin_that_stays() == "");
    CHECK(*runs <= 12);
  }
}

namespace {

/// Kills the next workers of a pool right after their fork, before anything of the user's runs in them, as often as
/// `early_kills_left` says: to be called in PoolOptions::preload.
std::atomic<int>* early_kills_left = nullptr;
void kill_workers_early() {
  ::pthread_atfork(nullptr, nullptr, [] {
    if (early_kills_left->fetch_sub(1) > 0) die(Way::kill);
  });
}

}  // namespace

TEST_CASE("workers that somebody kills before they are ready do not break the pool") {
  for (const bool has_initializer : {false, true}) {
    const support::SharedCount left;
    early_kills_left = left.get();
    *left = 200;
    const auto work = [](auto& pool) { CHECK(pool.submit(twice, 21).get() == 42); };
    PoolOptions options{.workers = 2, .preload = kill_workers_early};
    if (has_initializer) {
      ProcessPool pool{options, [] { return 1; }};
      work(pool);
    } else {
      ProcessPool pool{options};
      work(pool);
    }
    CHECK(*left < 0);
  }
}

TEST_CASE("a pool whose workers are all killed before they are ready breaks instead of forking for ever") {
  const support::SharedCount left;
  early_kills_left = left.get();
  *left = 1'000'000;
  ProcessPool pool{{.workers = 2, .preload = kill_workers_early}};
  const Breakage breakage = breakage_of([&] { static_cast<void>(pool.submit(twice, 1).get()); });
  CHECK(contains(breakage.what, "before they are ready"));
  CHECK(contains(breakage.what, "signal 9"));
  CHECK(support::kin_that_stays() == "");
  CHECK(*left > 990'000);
}

TEST_CASE("an initializer that ends its worker now and then does not break the pool") {
  const support::SharedCount runs;
  ProcessPool pool{2, [runs = runs.get()] {
                     if (++*runs % 3 != 0) die(Way::kill);
                   }};
  for (int i = 0; i < 20; ++i) {
    CHECK(pool.submit(twice, i).get() == 2 * i);
    CHECK_THROWS_AS(pool.submit([] { die(Way::kill); }).get(), procpool::WorkerDied);
  }
}

TEST_CASE("a thousand items that each crash are slow, not broken") {
  ProcessPool pool{2};
  const auto outcomes = pool.map_outcomes([](int) -> int { die(Way::quiet_exit_3); },
                                          std::vector<int>(support::is_full_run() ? 1000 : 150));
  for (const auto& outcome : outcomes) CHECK_FALSE(outcome.has_value());
  CHECK(pool.submit(twice, 1).get() == 2);
}

TEST_CASE("a preload that throws ends the construction with its own error") {
  const auto make = [](std::function<void()> preload) {
    ProcessPool pool{{.workers = 2, .preload = std::move(preload)}};
  };
  CHECK_THROWS_AS(make([] { throw std::out_of_range("no such file"); }), std::out_of_range);
  CHECK_THROWS_WITH(make([] { throw std::out_of_range("no such file"); }),
                    Catch::Matchers::ContainsSubstring("no such file"));
  for (const Way way : {Way::segfault, Way::kill, Way::exit_0, Way::quiet_exit_3, Way::abort, Way::thread_exit}) {
    CHECK_THROWS_AS(make([way] { die(way); }), BrokenPool);
  }
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a preload that leaves a thread behind is an error that says so") {
  const auto make = [] {
    ProcessPool pool{{.workers = 2, .preload = [] { std::thread([] { ::pause(); }).detach(); }}};
  };
  CHECK_THROWS_AS(make(), procpool::UsageError);
  CHECK_THROWS_WITH(make(), Catch::Matchers::ContainsSubstring("thread"));
}

TEST_CASE("what preload has made is there in all workers, also in those that replace dead ones") {
  static std::string made;
  const support::SharedCount preloads;
  ProcessPool pool{{.workers = 2, .preload = [&] {
                      ++*preloads;
                      made = "made by preload";
                    }}};
  for (int i = 0; i < 5; ++i) {
    CHECK(pool.run_on_each_worker([] { return made; }) == std::vector<std::string>(2, "made by preload"));
    CHECK_THROWS_AS(pool.submit([] { die(Way::kill); }).get(), procpool::WorkerDied);
  }
  CHECK(*preloads == 1);
  CHECK(made.empty());
}

namespace {

/// Counts its destructions in all processes.
class Mark {
 public:
  explicit Mark(std::atomic<int>& count) : count_(count) {}
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;
  ~Mark() { ++count_; }

 private:
  std::atomic<int>& count_;
};

}  // namespace

TEST_CASE("what ends a worker never runs on in the user's frames below it") {
  const support::SharedCount destroyed;
  const support::SharedCount returned;
  for (int what = 0; what < 5; ++what) {
    {
      const Mark mark(*destroyed);
      try {
        PoolOptions options{.workers = 2};
        if (what == 0) options.at_worker_exit = [] { throw std::runtime_error("at the worker's end"); };
        if (what == 1) options.at_worker_exit = [] { die(Way::thread_exit); };
        if (what == 2) options.at_worker_exit = [] { die(Way::exit_42); };
        ProcessPool pool{options, [what] {
                           if (what == 4) die(Way::thread_exit);
                           return 1;
                         }};
        if (what == 3) CHECK_THROWS_AS(pool.submit([] { die(Way::thread_exit); }).get(), procpool::WorkerDied);
        if (what < 3) static_cast<void>(pool.submit(twice, 1).get());
        if (what == 4) CHECK_THROWS_AS(pool.submit(twice, 1).get(), BrokenPool);
      } catch (...) {
        ++*returned;
      }
    }
    ++*returned;
    CHECK(*destroyed == what + 1);
    CHECK(*returned == what + 1);
  }
}

TEST_CASE("pools made and broken by many threads at once do not see each other") {
  std::vector<std::thread> threads;
  std::atomic<int> broken{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < (support::is_full_run() ? 100 : 8); ++round) {
        const ProcessPool pool{1};
        auto stuck = pool.submit([] { ::pause(); });
        const ::pid_t worker = support::pids_of(pool).front();
        ::kill(support::all_processes().at(worker).parent, SIGKILL);
        try {
          stuck.get();
        } catch (const BrokenPool&) {
          ++broken;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(broken == 4 * (support::is_full_run() ? 100 : 8));
}
