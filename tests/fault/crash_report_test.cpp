// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/detail/os/cgroups.hpp>
#include <procpool/detail/os/read_file.hpp>
#include <procpool/procpool.hpp>

#include "../support/address_space.hpp"
#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/leftovers.hpp"
#include "../support/shared_page.hpp"
#include "../support/user_process.hpp"

using namespace std::chrono_literals;
using procpool::Future;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::death_of;

// These have names outside of this file, so that they are found: the program is linked with them exported.
extern "C" {
int* volatile procpool_test_wild_pointer = reinterpret_cast<int*>(0x1234);
int (*volatile procpool_test_no_function)(int) = nullptr;

[[gnu::noinline]] int procpool_test_segfault(int x) {
  *procpool_test_wild_pointer = x;
  return x;
}
[[gnu::noinline]] int procpool_test_outer(int x) { return procpool_test_segfault(x) + 1; }
[[gnu::noinline]] int procpool_test_calls_nothing(int x) { return procpool_test_no_function(x) + 1; }
[[gnu::noinline]] int procpool_test_aborts(int x) {
  if (x >= 0) std::abort();
  return x;
}
// NOLINTNEXTLINE(misc-no-recursion): it is to end in a stack overflow
[[gnu::noinline]] int procpool_test_recursion(int x) {
  volatile char room[4000];
  room[static_cast<std::size_t>(x) % sizeof room] = 1;
  if (x < 0) return 0;
  return procpool_test_recursion(x + 1) + room[static_cast<std::size_t>(x) % sizeof room];
}
[[gnu::noinline]] int procpool_test_divides(int divisor) {
  const volatile int one = 1;
  return one / divisor;
}

enum class Unwinder { works, hangs, crashes };
volatile Unwinder procpool_test_unwinder = Unwinder::works;

using Backtrace = _Unwind_Reason_Code (*)(_Unwind_Trace_Fn, void*);
const auto procpool_test_backtrace = reinterpret_cast<Backtrace>(::dlsym(RTLD_NEXT, "_Unwind_Backtrace"));

/// Takes the place of the unwinder's own in this program.
_Unwind_Reason_Code _Unwind_Backtrace(_Unwind_Trace_Fn take, void* data) {
  while (procpool_test_unwinder == Unwinder::hangs) ::pause();
  if (procpool_test_unwinder == Unwinder::crashes) *procpool_test_wild_pointer = 1;
  return procpool_test_backtrace(take, data);
}
}

namespace {

/// Where in the stack the first frame stands that names `function`; the number of frames if none does.
std::size_t place_of(const std::string& function, const std::vector<std::string>& stack) {
  const auto names_it = [&](const std::string& line) { return line.starts_with(function + " "); };
  return static_cast<std::size_t>(std::find_if(stack.begin(), stack.end(), names_it) - stack.begin());
}

std::string text_of(const std::vector<std::string>& stack) {
  std::string text;
  for (const std::string& line : stack) text += line + "\n";
  return text;
}

/// The sanitizers handle crashes themselves, or not at all: no stack is told then.
bool is_told() {
  if (support::is_sanitized) WARN("a sanitizer's handlers are left alone: no stack is told");
  return !support::is_sanitized;
}

}  // namespace

TEST_CASE("a segfault tells its address, and names the function and its callers, innermost first") {
  ProcessPool pool{1};
  const WorkerDied death =
      death_of(pool.with({.label = "wild"}).submit([](int x) { return procpool_test_outer(x); }, 7));
  CHECK(death.signal() == SIGSEGV);
  CHECK(death.exit_status() == -1);
  CHECK(death.attempt() == 1);
  CHECK(death.earlier().empty());
  CHECK_FALSE(death.out_of_memory());
  if (!is_told()) return;
  CHECK(death.fault_address() == reinterpret_cast<void*>(0x1234));
  INFO(text_of(death.stack()));
  CHECK(place_of("procpool_test_segfault", death.stack()) == 0);
  CHECK(place_of("procpool_test_outer", death.stack()) == 1);
  CHECK(text_of(death.stack()).find("main (") == std::string::npos);  // The frames below the worker's are left out.
  const std::string what = death.what();
  CHECK(what.starts_with("worker " + std::to_string(death.pid()) +
                         " died by signal 11 (SIGSEGV) at address 0x1234 while it ran task \"wild\"; its result is "
                         "lost, all other tasks go on\n    #0 procpool_test_segfault ("));
  CHECK(what.find("\n    #1 procpool_test_outer (") != std::string::npos);
  CHECK(static_cast<std::size_t>(std::count(what.begin(), what.end(), '\n')) == death.stack().size());
}

TEST_CASE("an abort, a call of nothing and a division by zero name the function that did it") {
  ProcessPool pool{2};
  const WorkerDied abort = death_of(pool.submit([] { return procpool_test_aborts(1); }));
  CHECK(abort.signal() == SIGABRT);
  CHECK(abort.fault_address() == nullptr);
  CHECK(std::string(abort.what()).find(" died by signal 6 (SIGABRT) while") != std::string::npos);
  const WorkerDied call = death_of(pool.submit([] { return procpool_test_calls_nothing(1); }));
  CHECK(call.signal() == SIGSEGV);
  const WorkerDied division = death_of(pool.submit([] { return procpool_test_divides(0); }));
  CHECK(division.signal() == SIGFPE);
  CHECK(division.fault_address() == nullptr);
  CHECK(std::string(division.what()).find(" died by signal 8 (SIGFPE) while") != std::string::npos);
  if (!is_told()) return;
  INFO(text_of(abort.stack()) << text_of(call.stack()) << text_of(division.stack()));
  CHECK(place_of("abort", abort.stack()) < place_of("procpool_test_aborts", abort.stack()));
  CHECK(place_of("procpool_test_aborts", abort.stack()) < abort.stack().size());
  REQUIRE(call.stack().size() > 2);
  CHECK(call.stack()[0] == "0x0");
  CHECK(place_of("procpool_test_calls_nothing", call.stack()) == 1);
  CHECK(std::string(call.what()).find(" (SIGSEGV) at address 0x0 while") != std::string::npos);
  CHECK(place_of("procpool_test_divides", division.stack()) == 0);
}

TEST_CASE("a stack overflow is told of like any other crash, and its repetitions are counted") {
  ProcessPool pool{1};
  const WorkerDied death = death_of(pool.submit([] { return procpool_test_recursion(1); }));
  CHECK(death.signal() == SIGSEGV);
  if (!is_told()) return;
  REQUIRE(death.stack().size() == 64);
  CHECK(place_of("procpool_test_recursion", death.stack()) == 0);
  CHECK(std::string(death.what()).find("\n    ... and the same 6") != std::string::npos);
  CHECK(std::string(death.what()).size() < 1000);
}

TEST_CASE("a crash in a thread of a task's own is told with that thread's stack") {
  ProcessPool pool{1};
  const WorkerDied death = death_of(pool.submit([] { std::thread([] { procpool_test_outer(1); }).join(); }));
  CHECK(death.signal() == SIGSEGV);
  if (!is_told()) return;
  INFO(text_of(death.stack()));
  CHECK(place_of("procpool_test_segfault", death.stack()) == 0);
  CHECK(place_of("procpool_test_outer", death.stack()) == 1);
}

TEST_CASE("a signal that was sent tells no address, and one that cannot be handled no stack") {
  ProcessPool pool{1};
  const WorkerDied sent = death_of(pool.submit([] { ::raise(SIGSEGV); }));
  CHECK(sent.signal() == SIGSEGV);
  CHECK(sent.fault_address() == nullptr);
  CHECK(std::string(sent.what()).find("at address") == std::string::npos);
  const WorkerDied killed = death_of(pool.submit([] { ::raise(SIGKILL); }));
  CHECK(killed.signal() == SIGKILL);
  CHECK(killed.stack().empty());
  CHECK(killed.fault_address() == nullptr);
  CHECK_FALSE(killed.out_of_memory());
  const WorkerDied left = death_of(pool.submit([] { ::_exit(3); }));
  CHECK(left.exit_status() == 3);
  CHECK(left.signal() == 0);
  CHECK(left.stack().empty());
}

TEST_CASE("each of a map's crashes tells its own stack") {
  ProcessPool pool{2};
  const std::vector<int> items{0, 1, 2, 3, 4, 5};
  const auto outcomes = pool.with({.chunk_size = 3, .label = "crashing"})
                            .map_outcomes(
                                [](int x) {
                                  if (x == 1) return procpool_test_outer(x);
                                  if (x == 4) return procpool_test_aborts(x);
                                  return x;
                                },
                                items);
  const auto death_at = [&](std::size_t i) {
    try {
      outcomes[i].value();
    } catch (const WorkerDied& death) {
      return death;
    }
    throw std::logic_error("the item did not die");
  };
  CHECK(death_at(1).signal() == SIGSEGV);
  CHECK(death_at(4).signal() == SIGABRT);
  CHECK(death_at(4).fault_address() == nullptr);
  for (const std::size_t item : {1U, 4U}) {
    CHECK(death_at(item).position() == item);
    CHECK(death_at(item).label() == "crashing");
    CHECK(std::string(death_at(item).what())
              .find(" while it ran item " + std::to_string(item) + " of task \"crashing\"") != std::string::npos);
  }
  if (!is_told()) return;
  CHECK(place_of("procpool_test_outer", death_at(1).stack()) == 1);
  CHECK(place_of("procpool_test_outer", death_at(4).stack()) == death_at(4).stack().size());
  CHECK(place_of("procpool_test_aborts", death_at(4).stack()) < death_at(4).stack().size());
}

TEST_CASE("a death tells which attempt it ended, and how those before ended, each with its own report") {
  const support::SharedCount tries;
  ProcessPool pool{1};
  const WorkerDied death = death_of(pool.with({.retries = 2, .label = "tried"}).submit([tries = tries.get()] {
    const int attempt = ++*tries;
    if (attempt == 1) return procpool_test_outer(1);
    if (attempt == 2) return procpool_test_aborts(1);
    ::_exit(3);
  }));
  CHECK(death.attempt() == 3);
  CHECK(death.exit_status() == 3);
  CHECK(death.stack().empty());
  REQUIRE(death.earlier().size() == 2);
  const procpool::DeathReport& first = death.earlier()[0];
  const procpool::DeathReport& second = death.earlier()[1];
  CHECK(first.attempt == 1);
  CHECK(second.attempt == 2);
  CHECK(first.signal == SIGSEGV);
  CHECK(second.signal == SIGABRT);
  CHECK(first.label == "tried");
  CHECK(second.label == "tried");
  CHECK(first.pid != second.pid);
  CHECK(second.pid != death.pid());
  if (!is_told()) return;
  CHECK(first.fault_address == reinterpret_cast<const void*>(0x1234));
  CHECK_FALSE(second.fault_address.has_value());
  CHECK(place_of("procpool_test_segfault", first.stack.lines()) == 0);
  CHECK(place_of("procpool_test_aborts", second.stack.lines()) < second.stack.lines().size());
}

TEST_CASE("an unwinder that hangs is ended by an alarm, and the crash is told as far as it was known") {
  ProcessPool pool{1};
  const WorkerDied death = death_of(pool.submit([] {
    procpool_test_unwinder = Unwinder::hangs;
    return procpool_test_outer(1);
  }));
  CHECK(death.signal() == SIGSEGV);
  CHECK(pool.submit([] { return 5; }).get() == 5);
  if (!is_told()) return;
  CHECK(death.fault_address() == reinterpret_cast<void*>(0x1234));
  REQUIRE(death.stack().size() == 1);  // where it crashed is known without the unwinder; what lies there is not
  CHECK(death.stack()[0].starts_with("0x"));
}

TEST_CASE("a crash of the unwinder ends the worker, and the signal that is told is the first") {
  ProcessPool pool{1};
  const WorkerDied death = death_of(pool.submit([] {
    procpool_test_unwinder = Unwinder::crashes;
    return procpool_test_aborts(1);
  }));
  CHECK(death.signal() == SIGABRT);
  CHECK(pool.submit([] { return 5; }).get() == 5);
  if (is_told()) CHECK(death.stack().size() == 1);
}

TEST_CASE("a handler of the user's own, set by the initializer or by a task, takes the place of the library's") {
  const auto set_handler = [] {
    struct sigaction action {};
    action.sa_handler = [](int) { ::_exit(77); };
    ::sigaction(SIGSEGV, &action, nullptr);
    return 0;
  };
  {
    ProcessPool pool{1, set_handler};
    CHECK(death_of(pool.submit([] { return procpool_test_outer(1); })).exit_status() == 77);
  }
  ProcessPool pool{1};
  const WorkerDied death = death_of(pool.submit([set_handler] {
    set_handler();
    return procpool_test_outer(1);
  }));
  CHECK(death.exit_status() == 77);
  CHECK(death.signal() == 0);
  CHECK(death.stack().empty());
  CHECK(death.fault_address() == nullptr);
}

TEST_CASE("the crash of a process that a task forked is none of its worker's") {
  ProcessPool pool{1};
  const WorkerDied death = death_of(pool.submit([] {
    const ::pid_t child = ::fork();
    if (child == 0) procpool_test_outer(1);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV) ::_exit(3);
    ::signal(SIGSEGV, SIG_DFL);  // The worker itself dies of it too, and has nothing to tell.
    ::raise(SIGSEGV);
  }));
  CHECK(death.signal() == SIGSEGV);
  CHECK_FALSE(death.has_fault_address());
  CHECK(death.stack().empty());
}

TEST_CASE("a death tells the memory that its worker had touched, its CPU time, and how long the task ran") {
  constexpr std::size_t touched = std::size_t{48} << 20;
  static constexpr auto busy = 60ms;
  const support::SharedGate gate;
  const support::SharedGate idle;
  ProcessPool pool{1};
  const auto begun = std::chrono::steady_clock::now();
  auto doomed = pool.submit([gate = gate.get()] {
    void* memory = ::mmap(nullptr, touched, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memset(memory, 1, touched);
    const auto used = [] {
      timespec time{};
      ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
      return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    while (used() < busy) {
    }
    gate->pass();
    ::raise(SIGKILL);
  });
  const auto seen_for = [&] { return pool.workers()[0].running_for; };
  CHECK(support::eventually([&] { return seen_for() > 0ns; }, 20s));  // from then on the supervisor has seen it
  gate->open();
  const WorkerDied death = death_of(std::move(doomed));
  const auto whole = std::chrono::steady_clock::now() - begun;
  CHECK(death.peak_memory() >= touched);
  CHECK(death.peak_memory() < std::size_t{1} << 40);
  CHECK(death.cpu_time() >= busy - 10ms);  // the kernel counts in its own ticks
  CHECK(death.ran_for() > 0ns);
  CHECK(death.ran_for() <= whole);
  // Its successor only waits: the time that it took is none of the processor's.
  auto waits = pool.submit([idle = idle.get()] {
    idle->pass();
    ::raise(SIGKILL);
  });
  std::chrono::nanoseconds seen{0};
  CHECK(support::eventually([&] { return (seen = seen_for()) > 5 * busy; }, 20s));
  idle->open();
  const WorkerDied next = death_of(std::move(waits));
  CHECK(next.peak_memory() < touched);
  CHECK(next.cpu_time() < death.cpu_time());
  CHECK(next.cpu_time() < seen);
  CHECK(next.ran_for() >= seen);
}

TEST_CASE("an initializer that crashes is told with its stack by the pool that it breaks") {
  try {
    ProcessPool pool{1, [] { return procpool_test_outer(1); }};
    pool.submit([] {}).get();
    FAIL("the pool works");
  } catch (const procpool::BrokenPool& broken) {
    const std::string what = broken.what();
    CHECK(what.find("SIGSEGV") != std::string::npos);
    if (is_told()) CHECK(what.find("\n    #0 procpool_test_segfault (") != std::string::npos);
  }
}

TEST_CASE("when memory runs out the kernel rather takes a worker than the user's process, whose score may be high") {
  for (const int score : {0, 700}) {
    support::UserProcess user([score] {
      const auto own_score = [] { return std::atoi(procpool::detail::read_file("/proc/self/oom_score_adj").c_str()); };
      const int before = own_score();
      if (before < score) std::ofstream("/proc/self/oom_score_adj") << score << std::flush;
      if (own_score() != std::max(before, score)) return 1;
      ProcessPool pool{1};
      return pool.submit(own_score).get() == std::min(1000, own_score() + 500) ? 0 : 2;
    });
    CHECK(user.wait() == 0);
  }
}

TEST_CASE("a worker that the kernel kills because its memory cgroup is full says so, and one killed by hand does not") {
  const procpool::detail::OwnCgroups own = procpool::detail::own_cgroups("memory", {});
  const bool is_v1 = !own.v1.empty();
  const std::string parent = is_v1 ? own.v1.front() : own.v2.empty() ? std::string() : own.v2.front();
  const std::string group = parent + "/procpool-test-" + std::to_string(::getpid());
  if (parent.empty() || ::mkdir(group.c_str(), 0755) != 0) {
    support::skip_case("no memory cgroup can be made here");
    return;
  }
  constexpr std::size_t most = std::size_t{48} << 20;
  const auto write = [&](const std::string& file, const std::string& text) {
    std::ofstream stream(group + file);
    stream << text << std::flush;
    return stream.good();
  };
  const bool is_limited = write(is_v1 ? "/memory.limit_in_bytes" : "/memory.max", std::to_string(most));
  int status = -1;
  if (is_limited) {
    support::UserProcess user([&] {
      if (!write("/cgroup.procs", "0")) return 10;
      ProcessPool pool{1};
      const std::vector<char> users(std::size_t{28} << 20, 'x');  // More than is left for the worker.
      const WorkerDied by_hand = death_of(pool.submit([] { ::raise(SIGKILL); }));
      if (by_hand.out_of_memory()) return 1;
      const WorkerDied death = death_of(pool.submit([] {
        std::vector<std::byte*> blocks;
        for (std::size_t bytes = 0; bytes < 4 * most; bytes += std::size_t{1} << 20) {
          blocks.push_back(new std::byte[std::size_t{1} << 20]);
          std::memset(blocks.back(), 1, std::size_t{1} << 20);
        }
        return blocks.size();
      }));
      if (death.signal() != SIGKILL || !death.out_of_memory()) return 2;
      if (std::string(death.what()).find("(SIGKILL), killed by the kernel because memory ran out, while it ran") ==
          std::string::npos)
        return 3;
      if (death.peak_memory() < most / 4) return 4;
      if (death_of(pool.submit([] { ::raise(SIGKILL); })).out_of_memory()) return 5;
      return pool.submit([] { return 6; }).get() == 6 && users.back() == 'x' ? 0 : 6;
    });
    status = user.wait();
  }
  CHECK(support::eventually([&] { return ::rmdir(group.c_str()) == 0; }));
  if (!is_limited || (WIFEXITED(status) && WEXITSTATUS(status) == 10)) {
    support::skip_case("no memory cgroup can be limited here");
    return;
  }
  CHECK(status == 0);
}
