// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/process_tree.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using procpool::Future;
using procpool::ProcessPool;
using procpool::TaskTimeout;
using procpool::WorkerDied;
using support::is_stopped;
using support::twice;

namespace {

void stop(::pid_t pid) {
  ::kill(pid, SIGSTOP);
  REQUIRE(support::eventually([&] { return is_stopped(pid); }, std::chrono::seconds(20)));
}

/// Stops a process for a scope.
class Stopped {
 public:
  explicit Stopped(::pid_t pid) : pid_(pid) { stop(pid); }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  ~Stopped() { ::kill(pid_, SIGCONT); }

 private:
  ::pid_t pid_;
};

/// Waits until the pool's supervisor looks at nothing any more: three times in a row it seems asleep, for at the first
/// it may still be about to look once more.
void wait_until_nobody_looks(const ProcessPool<>& pool) {
  int looks = 0;
  REQUIRE(
      support::eventually([&] { return (looks = pool.sender().core->supervisor().was_asleep() ? looks + 1 : 0) == 3; },
                          std::chrono::seconds(20)));
}

/// Rings the stopped zygote of this process's only pool until its socket holds no more.
void fill_bell_of_zygote() {
  const auto is_bell = [](int descriptor) {
    int type = 0;
    ::socklen_t size = sizeof type;
    return ::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
  };
  int socket = 0;
  while (!is_bell(socket)) REQUIRE(++socket < 1024);
  const char news = 'n';
  while (::send(socket, &news, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1) continue;
  REQUIRE(errno == EAGAIN);
}

/// Submits this many, and expects them to end though somebody is stopped.
void check_that_tasks_run(const ProcessPool<>& pool, int tasks) {
  std::vector<Future<int>> futures;
  for (int i = 0; i < tasks; ++i) futures.push_back(pool.submit(twice, i));
  for (int i = 0; i < tasks; ++i) {
    REQUIRE(futures[static_cast<std::size_t>(i)].wait_for(std::chrono::seconds(30)));
    CHECK(futures[static_cast<std::size_t>(i)].get() == 2 * i);
  }
}

}  // namespace

TEST_CASE("while one worker is stopped, in whatever state, the others do all the work") {
  for (const bool was_asleep : {true, false}) {
    ProcessPool pool{2};
    for (const ::pid_t pid : support::pids_of(pool)) {
      // Asleep: for long; or just after a task, when it still looks for work.
      if (was_asleep) static_cast<void>(pool.wait_idle_for(std::chrono::milliseconds(20)));
      else check_that_tasks_run(pool, 50);
      const Stopped stopped(pid);
      check_that_tasks_run(pool, 100);
      const auto values = pool.map(twice, std::vector<int>{1, 2, 3, 4, 5});
      CHECK(values == std::vector<int>{2, 4, 6, 8, 10});
    }
    check_that_tasks_run(pool, 100);
  }
}

TEST_CASE("a worker that is stopped while it looks for work holds up one task, not each that comes later") {
  ProcessPool pool{{.workers = 2, .wait = procpool::WaitPolicy::block}};
  const std::vector<::pid_t> pids = pool.run_on_each_worker(support::pid_of_worker);
  const Stopped stopped(pids[0]);
  procpool::detail::PoolLayout& layout = pool.sender().core->layout();
  layout.presence.start_looking(0);
  // As a submit does it, which wakes nobody while somebody looks.
  CHECK(support::eventually(
      [&] {
        check_that_tasks_run(pool, 1);
        return layout.wake_one();
      },
      std::chrono::seconds(20)));
}

TEST_CASE("a task whose worker is stopped waits, and fails alone when the worker is killed") {
  const support::SharedGate gate;
  ProcessPool pool{2};
  const support::OpensAtEnd opens(gate);
  auto stuck = pool.submit([gate = gate.get()] {
    gate->pass();
    return ::getpid();
  });
  REQUIRE(gate->is_reached_by(1));
  ::pid_t victim = 0;
  REQUIRE(support::eventually(
      [&] {
        for (const auto& worker : pool.workers()) {
          if (worker.running_for.count() > 0) victim = worker.pid;
        }
        return victim != 0;
      },
      std::chrono::seconds(20)));
  const Stopped stopped(victim);
  gate->open();
  check_that_tasks_run(pool, 100);
  CHECK_FALSE(stuck.is_ready());
  ::kill(victim, SIGKILL);
  try {
    static_cast<void>(stuck.get());
    FAIL("it has a value");
  } catch (const WorkerDied& death) {
    CHECK(death.pid() == victim);
    CHECK(death.signal() == SIGKILL);
  }
  check_that_tasks_run(pool, 100);
}

TEST_CASE("a task whose worker is stopped ends at its timeout, and the worker is replaced") {
  ProcessPool pool{1};
  auto stuck = pool.with({.timeout = 50ms, .grace = 0ms}).submit([] { return ::raise(SIGSTOP); });
  const ::pid_t stopped = support::pids_of(pool).front();
  REQUIRE(stuck.wait_for(30s));
  CHECK_THROWS_AS(stuck.get(), TaskTimeout);
  auto next = pool.submit(support::pid_of_worker);
  REQUIRE(next.wait_for(30s));
  CHECK(next.get() != stopped);
}

TEST_CASE("when all workers were stopped in the middle of their tasks and go on, nothing is lost") {
  const support::SharedCount runs;
  ProcessPool pool{3};
  for (int round = 0; round < (support::is_full_run() ? 200 : 10); ++round) {
    const int before = *runs;
    std::vector<Future<int>> futures;
    for (int i = 0; i < 3000; ++i) {
      futures.push_back(pool.submit(
          [runs = runs.get()](int x) {
            ++*runs;
            return 2 * x;
          },
          i));
    }
    const auto pids = support::pids_of(pool);
    for (const ::pid_t pid : pids) ::kill(pid, SIGSTOP);
    REQUIRE(support::eventually([&] { return std::all_of(pids.begin(), pids.end(), is_stopped); },
                                std::chrono::seconds(20)));
    for (const ::pid_t pid : pids) ::kill(pid, SIGCONT);
    for (int i = 0; i < 3000; ++i) REQUIRE(futures[static_cast<std::size_t>(i)].get() == 2 * i);
    CHECK(*runs == before + 3000);
  }
}

TEST_CASE("when all workers are stopped a timed wait ends, and killing them loses only what they ran") {
  ProcessPool pool{2};
  const auto pids = support::pids_of(pool);
  for (const ::pid_t pid : pids) ::kill(pid, SIGSTOP);
  REQUIRE(
      support::eventually([&] { return std::all_of(pids.begin(), pids.end(), is_stopped); }, std::chrono::seconds(20)));
  std::vector<Future<int>> futures;
  for (int i = 0; i < 50; ++i) futures.push_back(pool.submit(twice, i));
  CHECK_FALSE(futures[0].wait_for(std::chrono::milliseconds(60)));
  CHECK_FALSE(pool.wait_idle_for(std::chrono::milliseconds(60)));
  for (const ::pid_t pid : pids) ::kill(pid, SIGKILL);
  int died = 0;
  for (int i = 0; i < 50; ++i) {
    try {
      CHECK(futures[static_cast<std::size_t>(i)].get() == 2 * i);
    } catch (const WorkerDied&) {
      ++died;
    }
  }
  CHECK(died <= 2);
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a pool whose workers are stopped can be terminated") {
  ProcessPool pool{2};
  const auto pids = support::pids_of(pool);
  for (const ::pid_t pid : pids) ::kill(pid, SIGSTOP);
  auto future = pool.submit(twice, 1);
  pool.terminate();
  CHECK_THROWS_AS(future.get(), procpool::PoolClosed);
}

TEST_CASE("a pool is idle though a worker is stopped before it could say that its task has ended") {
  using namespace procpool::detail;
  ProcessPool pool{1};
  Future<int> ended = pool.submit(twice, 1);
  REQUIRE(ended.wait_for(std::chrono::seconds(30)));
  REQUIRE(pool.wait_idle_for(std::chrono::seconds(30)));
  const Stopped stopped(support::pids_of(pool).front());
  const ResultHandle& task = FutureAccess::task(ended);
  std::atomic<std::uint64_t>& current = pool.sender().core->layout().row(0).current;
  current = Cell(task.word().ticket(), task.handle()).bits;  // as it stands until the worker clears it
  CHECK(pool.wait_idle_for(std::chrono::seconds(0)));
  current = 0;
}

TEST_CASE("a task with a deadline whose worker is stopped before its start runs elsewhere, and nothing is lost") {
  using namespace procpool::detail;
  for (const procpool::TaskOptions& terms :
       {procpool::TaskOptions{.timeout = std::chrono::hours(1)}, {.queue_timeout = std::chrono::hours(1)}}) {
    ProcessPool pool{1};
    check_that_tasks_run(pool, 50);
    REQUIRE(pool.wait_idle_for(std::chrono::seconds(30)));
    const ::pid_t stopped = support::pids_of(pool).front();
    stop(stopped);
    Future<int> task = pool.with(terms).submit(twice, 4);
    Future<int> behind = pool.submit(twice, 5);
    PoolCore& core = *pool.sender().core;
    const ResultHandle& handle = FutureAccess::task(task);
    StateWord word = handle.word();
    core.layout().row(0).current = Cell(word.ticket(), handle.handle()).bits;  // as the worker would claim it
    REQUIRE(core.exchange().slots[handle.handle()].transition(word, word.with_phase(Phase::claimed).with_owner(0)));
    REQUIRE(task.wait_for(std::chrono::seconds(30)));
    CHECK(task.get() == 8);
    CHECK(behind.get() == 10);
    CHECK(pool.stats().worker_deaths == 1);
    CHECK(support::all_processes().count(stopped) == 0);
  }
}

TEST_CASE("a pool ends though a worker is stopped that has nothing in hand, and the others leave in order") {
  for (const bool joins : {false, true}) {
    const support::SharedCount left;
    std::optional<ProcessPool<>> pool(
        std::in_place, procpool::PoolOptions{.workers = 3, .at_worker_exit = [left = left.get()] { ++*left; }});
    check_that_tasks_run(*pool, 50);
    const ::pid_t stopped = support::pids_of(*pool)[1];
    stop(stopped);
    if (joins) {
      pool->close();
      pool->join();
    }
    pool.reset();
    CHECK(*left == 2);
  }
}

TEST_CASE("a pool that nobody has used for long ends though all its workers are stopped") {
  ProcessPool pool{1};
  stop(support::pids_of(pool).front());
  wait_until_nobody_looks(pool);
}

TEST_CASE("while the zygote is stopped tasks end at their timeouts, however often it was rung, and later it goes on") {
  ProcessPool pool{2};
  const ::pid_t zygote = support::zygote_of(pool);
  const auto check_a_timeout = [&pool] {
    auto late = pool.with({.timeout = 20ms, .grace = 0ms}).submit([] { return ::pause(); });
    REQUIRE(late.wait_for(30s));
    CHECK_THROWS_AS(late.get(), TaskTimeout);
  };
  static_cast<void>(support::pids_of(pool));
  {
    const Stopped stopped(zygote);
    check_a_timeout();
    fill_bell_of_zygote();
    check_a_timeout();
    CHECK(pool.stats().worker_deaths == 0);
  }
  check_that_tasks_run(pool, 100);
  CHECK(support::eventually([&] { return pool.stats().worker_deaths == 2; }, 20s));
}

TEST_CASE("a pool ends though its zygote is stopped, in whatever way, and its workers leave in order") {
  enum class End { destruction, join, termination };
  for (const End end : {End::destruction, End::join, End::termination}) {
    for (const bool was_used : {true, false}) {
      if (was_used == (end == End::destruction) && !support::is_full_run()) continue;  // Each takes a second.
      const support::SharedCount left;
      std::optional<ProcessPool<>> pool(
          std::in_place, procpool::PoolOptions{.workers = 2, .at_worker_exit = [left = left.get()] { ++*left; }});
      const ::pid_t zygote = support::zygote_of(*pool);
      const auto workers = support::pids_of(*pool);
      if (!was_used) wait_until_nobody_looks(*pool);
      stop(zygote);
      std::optional<Future<int>> last;
      if (was_used) last = pool->submit(twice, 4);
      if (end == End::join) {
        pool->close();
        pool->join();
      }
      if (end == End::termination) pool->terminate();
      pool.reset();
      for (const ::pid_t pid : workers) CHECK(support::all_processes().count(pid) == 0);
      CHECK(support::all_processes().count(zygote) == 0);
      if (end == End::termination) continue;
      CHECK(*left == 2);
      if (last) CHECK(last->get() == 8);
    }
  }
}
