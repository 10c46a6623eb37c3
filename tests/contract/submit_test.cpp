// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <iostream>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"

using procpool::Future;
using procpool::ProcessPool;
using support::OpensAtEnd;
using support::SharedCount;
using support::SharedGate;

namespace {

int add(int a, int b) { return a + b; }
int add_quietly(int a, int b) noexcept { return a + b; }

struct Account {
  int balance = 0;
  int after(int payment) const { return balance + payment; }
};

struct Doubled {
  int operator()(int x) const { return 2 * x; }
  std::string operator()(const std::string& text) const { return text + text; }
};

/// A function object that is more than its bytes, and says how it is sent.
class Greeter {
 public:
  Greeter() = default;
  explicit Greeter(std::string word) : word_(std::move(word)) {}

  std::string operator()(const std::string& name) const { return word_ + ", " + name; }

  template <class Archive>
  void serialize(Archive& archive) {
    archive(word_);
  }

 private:
  std::string word_;
};

/// Counts the objects of its kind that live, in this process and in those that were forked from it.
class CountedInAll {
 public:
  static inline std::atomic<int>* alive = nullptr;

  CountedInAll() { ++*alive; }
  CountedInAll(const CountedInAll& other) : text_(other.text_) { ++*alive; }
  CountedInAll& operator=(const CountedInAll&) = default;
  ~CountedInAll() { --*alive; }

  template <class Archive>
  void serialize(Archive& archive) {
    archive(text_);
  }

 private:
  std::string text_ = "some text that does not fit into a small string";
};

}  // namespace

TEST_CASE("a submitted call returns its result through a future") {
  ProcessPool pool{2};
  Future<int> sum = pool.submit(add, 1, 2);
  CHECK(sum.valid());
  CHECK(sum.get() == 3);
}

TEST_CASE("a task runs in a process of its own") {
  ProcessPool pool{1};
  const pid_t worker = pool.submit(::getpid).get();
  CHECK(worker != ::getpid());
  CHECK(pool.submit(::getpid).get() == worker);
}

TEST_CASE("any kind of callable can be submitted") {
  ProcessPool pool{1};
  CHECK(pool.submit(&add, 1, 2).get() == 3);
  CHECK(pool.submit(add_quietly, 1, 2).get() == 3);
  CHECK(pool.submit([](int x) { return x + 1; }, 2).get() == 3);
  CHECK(pool.submit([](auto... numbers) { return (numbers + ...); }, 1, 1L, 1).get() == 3L);
  CHECK(pool.submit([calls = 0](int x) mutable { return x + ++calls; }, 2).get() == 3);
  CHECK(pool.submit([add_this = 2](int x) { return x + add_this; }, 1).get() == 3);
  CHECK(pool.submit(std::plus<>{}, 1, 2).get() == 3);
  CHECK(pool.submit(&Account::after, Account{1}, 2).get() == 3);
  CHECK(pool.submit(&Account::balance, Account{3}).get() == 3);
  CHECK(pool.submit(Greeter("Good day"), "Ada").get() == "Good day, Ada");
  const Doubled overloaded;
  CHECK(pool.submit(overloaded, 2).get() == 4);
  CHECK(pool.submit(overloaded, std::string("ab")).get() == "abab");
}

TEST_CASE("every submit of one function object sends it as it then is") {
  ProcessPool pool{1};
  int offset = 1;
  auto first = pool.submit([offset](int x) { return x + offset; }, 10);
  offset = 2;
  auto second = pool.submit([offset](int x) { return x + offset; }, 10);
  CHECK(first.get() == 11);
  CHECK(second.get() == 12);
}

TEST_CASE("arguments arrive as they were when they were submitted") {
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  std::string text = "before";
  auto echoed = pool.submit([](const std::string& given) { return given; }, text);
  text = "after";
  gate->open();
  CHECK(echoed.get() == "before");
}

TEST_CASE("a task may return nothing") {
  const SharedCount calls;
  ProcessPool pool{1};
  Future<void> done = pool.submit([calls = calls.get()] { ++*calls; });
  done.get();
  CHECK(calls->load() == 1);
}

TEST_CASE("success is told from failure by what happened, not by the value") {
  ProcessPool pool{1};
  CHECK_FALSE(pool.submit([] { return false; }).get());
  CHECK(pool.submit([] { return 0; }).get() == 0);
  CHECK(pool.submit([] { return std::string(); }).get().empty());
  CHECK(pool.submit([] { return std::vector<int>(); }).get().empty());
  CHECK_FALSE(pool.submit([] { return std::optional<int>(); }).get().has_value());
  CHECK(pool.submit([] { return std::errc::timed_out; }).get() == std::errc::timed_out);
}

TEST_CASE("submit returns before the task has ended") {
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] {
    gate->pass();
    return 1;
  });
  REQUIRE(gate->is_reached_by(1));
  CHECK_FALSE(held.is_ready());
  CHECK(held.is_running());
  gate->open();
  CHECK(held.get() == 1);
}

TEST_CASE("a task whose future was dropped runs all the same") {
  const SharedCount calls;
  ProcessPool pool{2};
  for (int i = 0; i < 100; ++i) static_cast<void>(pool.submit([calls = calls.get()] { ++*calls; }));
  pool.wait_idle();
  CHECK(calls->load() == 100);
  CHECK(pool.stats().dropped_failures == 0);
}

TEST_CASE("the failure of a task whose future was dropped is counted") {
  ProcessPool pool{2};
  for (int i = 0; i < 3; ++i) static_cast<void>(pool.submit([] { throw std::runtime_error("nobody hears this"); }));
  pool.wait_idle();
  CHECK(pool.stats().dropped_failures == 3);
}

TEST_CASE("the exception of one task leaves another that runs unharmed") {
  const SharedGate gate;
  ProcessPool pool{2};
  const OpensAtEnd opens(gate);
  auto running = pool.submit([gate = gate.get()] {
    gate->pass();
    return 1;
  });
  REQUIRE(gate->is_reached_by(1));
  auto failing = pool.submit([]() -> int { throw std::domain_error("no"); });
  CHECK_THROWS_AS(failing.get(), std::domain_error);
  gate->open();
  CHECK(running.get() == 1);
}

TEST_CASE("an argument is destroyed in the worker when its task has ended") {
  const SharedCount alive;
  CountedInAll::alive = alive.get();
  ProcessPool pool{1};
  {
    const CountedInAll argument;
    auto seen = pool.submit([](const CountedInAll&) { return CountedInAll::alive->load(); }, argument);
    CHECK(seen.get() == 2);
    CHECK(alive->load() == 1);
  }
  CHECK(alive->load() == 0);
}

TEST_CASE("nothing of an argument is kept in this process once it was submitted") {
  const SharedCount alive;
  CountedInAll::alive = alive.get();
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()](const CountedInAll&) { gate->pass(); }, CountedInAll());
  auto waiting = pool.submit([](const CountedInAll&) {}, CountedInAll());
  REQUIRE(gate->is_reached_by(1));
  CHECK(alive->load() == 1);  // in the worker
  gate->open();
  held.get();
  waiting.get();
  CHECK(alive->load() == 0);
}

TEST_CASE("a result is destroyed in the worker before its future is taken") {
  const SharedCount alive;
  CountedInAll::alive = alive.get();
  ProcessPool pool{1};
  auto made = pool.submit([] { return CountedInAll(); });
  made.wait();
  CHECK(alive->load() == 0);
  {
    const CountedInAll taken = made.get();
    CHECK(alive->load() == 1);
  }
  CHECK(alive->load() == 0);
}

TEST_CASE("what a task printed is there when it has ended, and its worker's death does not take it back") {
  std::fflush(stdout);
  const int kept = ::dup(STDOUT_FILENO);
  const int file = ::memfd_create("printed", MFD_CLOEXEC);
  REQUIRE(::dup2(file, STDOUT_FILENO) == STDOUT_FILENO);
  std::string printed(100, '\0');
  {
    ProcessPool pool{1};
    pool.submit([] {
          std::printf("one ");
          std::cout << "two ";
        })
        .wait();
    printed.resize(static_cast<std::size_t>(::pread(file, printed.data(), printed.size(), 0)));
    pool.submit([] { ::raise(SIGKILL); }).wait();
  }
  ::dup2(kept, STDOUT_FILENO);
  ::close(kept);
  ::close(file);
  CHECK(printed == "one two ");
}

TEST_CASE("a const pool and a pool with other terms take the same verbs") {
  const ProcessPool pool{1};
  CHECK(pool.submit(add, 1, 2).get() == 3);
  const auto labelled = pool.with({.label = "sum"});
  CHECK(labelled.submit(add, 1, 2).get() == 3);
  CHECK(labelled.map(add, std::array{1, 2}, std::array{10, 20}) == std::vector{11, 22});
}

TEST_CASE("two pools work side by side") {
  ProcessPool one{1};
  ProcessPool other{2};
  auto in_one = one.submit(::getpid);
  auto in_other = other.submit(::getpid);
  CHECK(in_one.get() != in_other.get());
  std::set<pid_t> pids;
  for (const pid_t pid : support::pids_of(one)) pids.insert(pid);
  for (const pid_t pid : support::pids_of(other)) pids.insert(pid);
  CHECK(pids.size() == 3);
}

TEST_CASE("a task sees memory as it was when the pool was made") {
  static int number = 0;
  number = 1;
  ProcessPool pool{1};
  number = 2;
  CHECK(pool.submit([] { return number; }).get() == 1);
}
