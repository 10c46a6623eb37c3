// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"
#include "../support/user_process.hpp"

using procpool::Future;
using procpool::ProcessPool;
using support::kin_that_stays;
using support::UserProcess;

namespace {

[[noreturn]] void run_for_ever() {
  for (;;) ::pause();
}

/// Forks a process that forks another, one of which leaves its session; all run for ever.
void fork_descendants(std::atomic<int>& count) {
  if (::fork() != 0) return;
  ++count;
  if (::fork() == 0) {
    ::setsid();
    ::signal(SIGTERM, SIG_IGN);
    if (::fork() != 0) ::_exit(0);
  }
  ++count;
  run_for_ever();
}

struct Program {
  std::atomic<int> arrived{0};      // tasks, initializers or preloads that have begun
  std::atomic<int> descendants{0};  // processes that tasks have forked
};

[[nodiscard]] bool reaches(const std::atomic<int>& count, int wanted) {
  return support::eventually([&] { return count.load() >= wanted; }, std::chrono::seconds(20));
}

}  // namespace

TEST_CASE("when the user's process is killed its pools go, with busy workers and all that tasks have forked") {
  const support::Shared<Program> program;
  UserProcess user([&] {
    ProcessPool first{2};
    ProcessPool second{1};
    std::vector<Future<void>> futures;
    for (int i = 0; i < 30; ++i) {
      futures.push_back((i % 3 == 0 ? second : first).submit([program = program.get()] {
        fork_descendants(program->descendants);
        ++program->arrived;
        run_for_ever();
      }));
    }
    run_for_ever();
    return 0;
  });
  REQUIRE(reaches(program->arrived, 3));
  REQUIRE(reaches(program->descendants, 6));
  CHECK(WIFSIGNALED(user.kill()));
  CHECK(kin_that_stays() == "");
}

TEST_CASE("when the user's process is killed, stopped workers go as well") {
  const support::Shared<Program> program;
  UserProcess user([&] {
    ProcessPool pool{2};
    for (const ::pid_t pid : support::pids_of(pool)) ::kill(pid, SIGSTOP);
    ++program->arrived;
    run_for_ever();
    return 0;
  });
  REQUIRE(reaches(program->arrived, 1));
  static_cast<void>(user.kill());
  CHECK(kin_that_stays() == "");
}

TEST_CASE("when the user's process is killed at any moment of a pool's life, nothing stays") {
  std::mt19937 random(1);
  for (int round = 0; round < (support::is_full_run() ? 1000 : 40); ++round) {
    const support::Shared<Program> program;
    UserProcess user([&] {
      for (;;) {
        ++program->arrived;
        ProcessPool pool{3, [] { return 1; }};
        ++program->arrived;
        static_cast<void>(pool.submit([](int x) { return x; }, 1).get());
      }
      return 0;
    });
    REQUIRE(reaches(program->arrived, 1 + static_cast<int>(random() % 4)));
    for (auto pause = random() % 20'000; pause > 0; --pause) std::this_thread::yield();
    static_cast<void>(user.kill());
    const std::string stays = kin_that_stays();
    if (!stays.empty()) FAIL("round " << round << ":\n" << stays);
  }
}

TEST_CASE("when the user's process is killed while a pool preloads, nothing stays") {
  const support::Shared<Program> program;
  UserProcess user([&] {
    const ProcessPool pool{{.workers = 2, .preload = [&] {
                              ++program->arrived;
                              run_for_ever();
                            }}};
    return 0;
  });
  REQUIRE(reaches(program->arrived, 1));
  static_cast<void>(user.kill());
  CHECK(kin_that_stays() == "");
}

TEST_CASE("when the user's process is killed while initializers run, nothing stays") {
  const support::Shared<Program> program;
  UserProcess user([&] {
    const ProcessPool pool{2, [&] {
                             ++program->arrived;
                             run_for_ever();
                           }};
    run_for_ever();
    return 0;
  });
  REQUIRE(reaches(program->arrived, 2));
  static_cast<void>(user.kill());
  CHECK(kin_that_stays() == "");
}

TEST_CASE("when the user's process becomes another program its pools go") {
  const support::Shared<Program> program;
  UserProcess user([&] {
    ProcessPool pool{2};
    auto future = pool.submit([program = program.get()] {
      ++program->arrived;
      run_for_ever();
    });
    static_cast<void>(reaches(program->arrived, 1));
    ::execl("/bin/sh", "sh", "-c", "read forever < /dev/zero", nullptr);
    return 1;
  });
  REQUIRE(reaches(program->arrived, 1));
  CHECK(kin_that_stays({user.pid()}) == "");
  static_cast<void>(user.kill());
}

TEST_CASE("when the user's process exits without destroying a pool, nothing stays") {
  UserProcess user([] {
    auto* const pool = new ProcessPool<>{2};
    static_cast<void>(pool->submit([] { return 1; }).get());
    return 5;
  });
  const int status = user.wait();
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 5);
  CHECK(kin_that_stays() == "");
}

TEST_CASE("a process that the user's process has forked does not keep a killed one's pool alive") {
  const support::Shared<Program> program;
  const support::Shared<std::atomic<::pid_t>> sibling;
  UserProcess user([&] {
    ProcessPool pool{2};
    const ::pid_t child = ::fork();
    if (child == 0) run_for_ever();  // It has the pool's descriptors.
    *sibling = child;
    ++program->arrived;
    run_for_ever();
    return 0;
  });
  REQUIRE(reaches(program->arrived, 1));
  static_cast<void>(user.kill());
  REQUIRE(*sibling > 0);
  CHECK(kin_that_stays({sibling->load()}) == "");
  ::kill(*sibling, SIGKILL);
  CHECK(kin_that_stays() == "");
}
