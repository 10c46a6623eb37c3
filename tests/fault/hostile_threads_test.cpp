// SPDX-License-Identifier: BSL-1.0

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/address_space.hpp"
#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/leftovers.hpp"
#include "../support/shared_page.hpp"
#include "../support/user_process.hpp"

using procpool::ProcessPool;
using procpool::WorkerDied;
using support::UserProcess;

namespace {

/// Runs `work()` in threads of its own, again and again, for its lifetime.
class Storm {
 public:
  Storm(int threads, const std::function<void()>& work) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this, work] {
        for (; !ends_; ++turns_) work();
      });
    }
  }
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;
  ~Storm() {
    ends_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  [[nodiscard]] int turns() const { return turns_; }

 private:
  std::atomic<bool> ends_{false};
  std::atomic<int> turns_{0};
  std::vector<std::thread> threads_;
};

/// What takes the locks that a fork may find taken: of the allocator, of stdout, and those of the unwinder.
void allocate() {
  std::vector<std::string> waste;
  for (std::size_t size = 1; size < 100'000; size *= 3) waste.emplace_back(size, 'x');
}
void print() {
  std::printf("a line that is long enough to fill the buffer now and then, so that it is written under the lock\n");
  std::cout << "and another one by the other way" << std::endl;
}
void throw_and_catch() {
  try {
    throw std::runtime_error("thrown");
  } catch (const std::runtime_error&) {
  }
}

/// In a user's process: what it prints is not shown.
void print_nowhere() { ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO); }

/// Tasks that need all of these themselves, among them one that dies.
bool works_in_threads(const ProcessPool<>& pool, bool prints = false) {
  const auto use_all = [prints](int x) {
    allocate();
    if (prints) print();
    throw_and_catch();
    return 2 * x;
  };
  if (pool.map(use_all, std::vector{1, 2, 3}) != std::vector{2, 4, 6}) return false;
  try {
    pool.submit([] { ::raise(SIGSEGV); }).get();
    return false;
  } catch (const WorkerDied&) {
  }
  try {
    pool.submit([] { throw std::out_of_range("thrown in a worker"); }).get();
    return false;
  } catch (const std::out_of_range&) {
  }
  return true;
}

}  // namespace

TEST_CASE("pools are made and workers replaced while other threads allocate, print and throw") {
  if (support::is_sanitized) {
    support::skip_case(
        "in a child that is forked meanwhile a sanitizer's allocator stays locked, unlike the C library's");
    return;
  }
  UserProcess user([] {
    print_nowhere();
    const Storm allocations(2, allocate);
    const Storm lines(2, print);
    const Storm exceptions(1, throw_and_catch);
    const int rounds = support::is_full_run() ? 2000 : 20;
    for (int round = 0; round < rounds || allocations.turns() == 0 || lines.turns() == 0; ++round) {
      const ProcessPool pool{{.workers = 2, .preload = allocate}};
      if (!works_in_threads(pool, true)) return 1;
    }
    return exceptions.turns() > 0 ? 0 : 2;
  });
  CHECK(user.wait() == 0);
}

TEST_CASE("a pool is made while other threads hold the locks of stdout and stdin, and what they wrote appears once") {
  std::array<int, 2> output{};
  REQUIRE(::pipe2(output.data(), O_CLOEXEC) == 0);
  UserProcess user([&] {
    std::array<int, 2> input{};
    if (::pipe2(input.data(), O_CLOEXEC) != 0) return 1;
    ::dup2(input[0], STDIN_FILENO);
    ::dup2(output[1], STDOUT_FILENO);
    ::setvbuf(stdout, nullptr, _IOFBF, 1 << 16);
    std::atomic<bool> is_held{false};
    std::atomic<bool> pool_has_gone{false};
    std::thread writer([&] {
      ::flockfile(stdout);
      std::printf("the writer's;");
      is_held = true;
      is_held.notify_one();
      pool_has_gone.wait(false);
      ::funlockfile(stdout);
    });
    std::thread reader([] { static_cast<void>(std::getchar()); });
    is_held.wait(false);
    bool is_right = false;
    {
      const ProcessPool pool{1};
      is_right = works_in_threads(pool) && pool.submit([] { return std::printf("the worker's;"); }).get() > 0;
    }
    pool_has_gone = true;
    pool_has_gone.notify_one();
    writer.join();
    is_right = is_right && ::write(input[1], "x", 1) == 1;
    reader.join();
    std::fflush(stdout);
    return is_right ? 0 : 2;
  });
  ::close(output[1]);
  std::string text;
  std::array<char, 4096> piece{};
  for (::ssize_t size = 0; (size = ::read(output[0], piece.data(), piece.size())) > 0;) {
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
  ::close(output[0]);
  CHECK(user.wait() == 0);
  CHECK(text == "the worker's;the writer's;");
}

TEST_CASE("a pool outlives the thread that made it") {
  std::optional<ProcessPool<>> pool;
  std::thread([&] { pool.emplace(2); }).join();
  const auto pids = support::pids_of(*pool);
  for (int i = 0; i < 3; ++i) {
    CHECK(works_in_threads(*pool));
    std::thread([&] { CHECK(works_in_threads(*pool)); }).join();
  }
  CHECK(pool->stats().worker_deaths == 6);
  std::thread([&] { pool.reset(); }).join();
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("pools come and go, in order or not, while another works, and each of its tasks is run once") {
  const support::SharedCount runs;
  const ProcessPool pool{2};
  const auto count = [runs = runs.get()](int x) {
    ++*runs;
    return 2 * x;
  };
  std::atomic<int> submitted{0};
  std::atomic<int> wrong{0};
  std::optional<Storm> work(std::in_place, 1, [&] {
    const int x = ++submitted;
    wrong += pool.submit(count, x).get() == 2 * x ? 0 : 1;
  });
  for (int round = 0; round < (support::is_full_run() ? 500 : 20); ++round) {
    std::optional<ProcessPool<>> other(std::in_place, 2);
    auto open = other->submit([] {
      for (;;) ::pause();
    });
    if (round % 3 == 0) ::kill(support::pids_of(*other).front(), SIGKILL);
    if (round % 3 == 1) {
      try {
        other->submit([] { ::kill(::getppid(), SIGKILL); }).get();
      } catch (const procpool::Error&) {  // Its zygote was killed.
      }
    }
    open.kill();
    if (round % 2 == 0) other->terminate();
    else static_cast<void>(open.exception());
    other.reset();
    const int seen = *runs;
    CHECK(support::eventually([&] { return *runs > seen; }, std::chrono::seconds(20)));
  }
  work.reset();
  CHECK(wrong == 0);
  CHECK(*runs == submitted);
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("pools are made and ended while a thread of the user's waits for every child that there is") {
  UserProcess user([] {
    std::atomic<int> reaped{0};
    const Storm waiting(1, [&] { reaped += ::wait(nullptr) > 0 ? 1 : 0; });
    for (int round = 0; round < 20; ++round) {
      const ProcessPool pool{2};
      if (!works_in_threads(pool)) return 1;
    }
    return 0;
  });
  CHECK(user.wait() == 0);
}

TEST_CASE("pools are made and ended while a handler of the user's waits for every child at each SIGCHLD") {
  UserProcess user([] {
    struct sigaction action {};
    action.sa_handler = [](int) {
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
    };
    ::sigaction(SIGCHLD, &action, nullptr);  // Without SA_RESTART.
    for (int round = 0; round < 20; ++round) {
      const ProcessPool pool{2};
      if (!works_in_threads(pool)) return 1;
    }
    return 0;
  });
  CHECK(user.wait() == 0);
}
