// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <system_error>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::BrokenPool;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::for_ever;
using support::kill_worker;
using support::twice;

namespace {

/// Which forks fail, of this process and of all that descend from it.
struct ForkPlan {
  std::atomic<int> granted{0};  // the next ones, which work
  std::atomic<int> refused{0};  // those after them, which fail
  std::atomic<int> killed{0};   // the child of so manieth fork is killed before it does anything; 0: none is
};
ForkPlan& fork_plan() {
  static const support::Shared<ForkPlan> shared;
  return *shared;
}

/// Makes a plan for a scope.
class Refusal {
 public:
  explicit Refusal(int refused, int granted = 0) {
    fork_plan().granted = granted;
    fork_plan().refused = refused;
  }
  Refusal(const Refusal&) = delete;
  Refusal& operator=(const Refusal&) = delete;
  ~Refusal() { fork_plan().refused = 0; }
};

bool is_refused() {
  if (fork_plan().refused == 0 || fork_plan().granted-- > 0) return false;
  fork_plan().granted = 0;
  --fork_plan().refused;
  return true;
}

constexpr int forks_of_a_zygote = 2;

}  // namespace

/// The C library's, but for what a test has it refuse.
extern "C" ::pid_t fork() {
  if (is_refused()) {
    ::usleep(2000);  // sleeps: as long as it takes in a large process, so that the pool hears of each by itself
    errno = EAGAIN;
    return -1;
  }
  static const auto real = reinterpret_cast<::pid_t (*)()>(::dlsym(RTLD_NEXT, "fork"));
  const ::pid_t pid = real();
  if (pid == 0 && fork_plan().killed != 0 && --fork_plan().killed == 0) ::raise(SIGKILL);
  return pid;
}

TEST_CASE("a pool whose workers are refused for a moment has them later") {
  const Refusal refusal(16, forks_of_a_zygote);
  ProcessPool pool{16};
  CHECK(pool.submit(twice, 21).get() == 42);
}

TEST_CASE("a pool that the system gives no worker is broken, and says so") {
  const Refusal refusal(for_ever, forks_of_a_zygote);
  ProcessPool pool{2};
  CHECK_THROWS_WITH(pool.submit([] {}).get(), Catch::Matchers::ContainsSubstring("refuses to make one"));
  CHECK_THROWS_AS(pool.submit([] {}), BrokenPool);
}

TEST_CASE("a pool whose own process the system refuses is not made, and leaves nothing") {
  for (int granted = 0; granted < forks_of_a_zygote; ++granted) {
    const Refusal refusal(1, granted);
    CHECK_THROWS_AS(ProcessPool(2), std::system_error);
    CHECK(fork_plan().refused == 0);
  }
  ProcessPool pool{2};
  CHECK(pool.submit(twice, 1).get() == 2);
}

TEST_CASE("a pool whose own process the system refuses says so where the status of no child is kept") {
  struct IgnoredChildren {
    void (*before)(int) = ::signal(SIGCHLD, SIG_IGN);
    ~IgnoredChildren() { ::signal(SIGCHLD, before); }
  };
  const IgnoredChildren ignored;
  const Refusal refusal(1, 1);
  try {
    const ProcessPool<> pool{2};
    FAIL("it was made");
  } catch (const std::system_error& refused) {
    CHECK(refused.code().value() == EAGAIN);
  }
}

TEST_CASE("a pool whose own process is killed before it is ready says so, and does not lay it to a preload") {
  const bool has_preload = GENERATE(false, true);
  std::function<void()> preload;
  if (has_preload) preload = [] {};
  SECTION("the one that makes it is killed") {
    fork_plan().killed = 1;
    CHECK_THROWS_WITH(ProcessPool<>({.workers = 2, .preload = preload}),
                      Catch::Matchers::ContainsSubstring("killed by signal 9"));
  }
  SECTION("it is killed itself") {
    fork_plan().killed = forks_of_a_zygote;
    CHECK_THROWS_WITH(ProcessPool<>({.workers = 2, .preload = preload}),
                      Catch::Matchers::ContainsSubstring("ended by somebody before it was ready"));
  }
  CHECK(fork_plan().killed == 0);
}

TEST_CASE("a preload that ends its process is told as that") {
  CHECK_THROWS_WITH(ProcessPool<>({.workers = 2, .preload = [] { ::raise(SIGKILL); }}),
                    Catch::Matchers::ContainsSubstring("PoolOptions::preload ended the process"));
}

TEST_CASE("a pool that gets only some of its workers works with those, and leaves nothing") {
  const Refusal refusal(for_ever, forks_of_a_zygote + 1);
  ProcessPool pool{3};
  CHECK(pool.map(twice, std::vector{1, 2, 3, 4, 5}) == std::vector{2, 4, 6, 8, 10});
  CHECK(support::zygote_of(pool) > 0);
}

TEST_CASE("a pool whose dead worker is not replaced for a moment loses nothing but the task that killed it") {
  ProcessPool pool{1};
  const Refusal refusal(3);  // tried again after 20, 40 and 80 ms, well within the second that breaks a pool
  auto doomed = pool.submit(kill_worker);
  auto next = pool.submit(twice, 3);
  CHECK_THROWS_AS(doomed.get(), WorkerDied);
  CHECK(next.get() == 6);
  CHECK(fork_plan().refused == 0);
}

TEST_CASE("a pool works with the workers that are left, and is broken when the last cannot be replaced") {
  const support::SharedGate gate;
  ProcessPool pool{2};
  const support::OpensAtEnd opens(gate);
  static_cast<void>(support::pids_of(pool));  // Both are there.
  const Refusal refusal(for_ever);
  CHECK_THROWS_AS(pool.submit(kill_worker).get(), WorkerDied);
  CHECK(pool.map(twice, std::vector{1, 2, 3}) == std::vector{2, 4, 6});
  auto doomed = pool.submit([gate = gate.get()] {
    gate->pass();
    kill_worker();
  });
  std::vector<procpool::Future<int>> waiting;
  for (int i = 0; i < 20; ++i) waiting.push_back(pool.submit(twice, i));
  std::atomic<int> broken{0};
  waiting.back().on_ready([&](const procpool::Outcome<int>& outcome) { broken += outcome.has_value() ? 0 : 1; });
  gate->open();
  CHECK_THROWS_AS(doomed.get(), WorkerDied);
  for (auto& future : waiting)
    CHECK_THROWS_WITH(future.get(), Catch::Matchers::ContainsSubstring("refuses to make one"));
  CHECK_THROWS_AS(pool.submit(twice, 1), BrokenPool);
  CHECK_THROWS_AS(pool.map(twice, std::vector{1}), BrokenPool);
  pool.close();
  pool.join();
  CHECK(support::eventually([&] { return broken == 1; }, std::chrono::seconds(20)));
}

TEST_CASE("deaths are noticed in a pool that has no descriptor left for them") {
  const auto leave_no_descriptor = [] {
    const rlimit standard_streams{3, 3};
    ::setrlimit(RLIMIT_NOFILE, &standard_streams);
  };
  ProcessPool pool{{.workers = 1, .preload = leave_no_descriptor}};
  for (int i = 0; i < 3; ++i) {
    CHECK(pool.submit([](int n) { return n; }, i).get() == i);
    CHECK_THROWS_AS(pool.submit([] { ::raise(SIGKILL); }).get(), WorkerDied);
  }
}
