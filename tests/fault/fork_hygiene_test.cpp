// SPDX-License-Identifier: BSL-1.0

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/footprint.hpp"
#include "../support/in_child.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"
#include "../support/user_process.hpp"

using procpool::Future;
using procpool::ProcessPool;
using procpool::UsageError;
using support::die;
using support::twice;
using support::UserProcess;
using support::Way;

namespace {

/// The disposition of every signal.
std::array<struct sigaction, NSIG> dispositions() {
  std::array<struct sigaction, NSIG> all{};
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, nullptr, &all[static_cast<std::size_t>(signal)]);
  return all;
}

bool same(const struct sigaction& a, const struct sigaction& b) {
  return a.sa_handler == b.sa_handler && a.sa_flags == b.sa_flags;
}

template <class Action>
bool is_usage_error(Action action) {
  try {
    action();
  } catch (const UsageError&) {
    return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a user's loop that waits for all children ends while pools live") {
  UserProcess user([] {
    ProcessPool pool{2};
    static_cast<void>(pool.submit(twice, 1).get());
    if (::fork() == 0) ::_exit(0);
    int children = 0;
    while (::wait(nullptr) > 0) ++children;
    return children == 1 && errno == ECHILD && pool.submit(twice, 2).get() == 4 ? 0 : 1;
  });
  CHECK(user.wait() == 0);
}

TEST_CASE("a pool works where SIGCHLD is ignored, and tells how its workers died") {
  UserProcess user([] {
    ::signal(SIGCHLD, SIG_IGN);
    ProcessPool pool{2};
    try {
      pool.submit([] { die(Way::quiet_exit_3); }).get();
    } catch (const procpool::WorkerDied& death) {
      return death.exit_status() == 3 && pool.submit(twice, 2).get() == 4 && ::signal(SIGCHLD, SIG_DFL) == SIG_IGN ? 0
                                                                                                                   : 1;
    }
    return 2;
  });
  CHECK(user.wait() == 0);
}

TEST_CASE("a user's signal handlers, mask and descriptors are as before after a pool, and none runs in a worker") {
  const support::SharedCount handled;
  static std::atomic<int>* count = nullptr;
  count = handled.get();
  UserProcess user([] {
    struct sigaction action {};
    action.sa_handler = [](int) { ++*count; };
    action.sa_flags = SA_RESTART;
    for (const int signal : {SIGUSR1, SIGTERM, SIGALRM, SIGSEGV, SIGHUP}) ::sigaction(signal, &action, nullptr);
    sigset_t mask;
    ::sigemptyset(&mask);
    ::sigaddset(&mask, SIGUSR2);
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    const auto before = dispositions();
    const std::size_t descriptors = support::descriptors_of(::getpid());
    {
      ProcessPool pool{2};
      for (int i = 0; i < 10; ++i) static_cast<void>(pool.submit(twice, i).get());
      for (const Way way : {Way::raise_segv, Way::terminate_signal}) {
        try {
          pool.submit([way] { die(way); }).get();
        } catch (const procpool::WorkerDied& death) {
          if (death.signal() != support::ending_of(way).signal) return 2;
        }
      }
      const bool has_no_mask = pool.submit([] {
                                     sigset_t now;
                                     ::sigprocmask(SIG_SETMASK, nullptr, &now);
                                     for (int signal = 1; signal < NSIG; ++signal) {
                                       if (::sigismember(&now, signal) == 1) return false;
                                     }
                                     return true;
                                   })
                                   .get();
      if (!has_no_mask) return 3;
    }
    const auto after = dispositions();
    for (std::size_t signal = 1; signal < NSIG; ++signal) {
      if (!same(before[signal], after[signal])) return 4;
    }
    sigset_t now;
    ::sigprocmask(SIG_SETMASK, nullptr, &now);
    for (int signal = 1; signal < NSIG; ++signal) {
      if (::sigismember(&now, signal) != (signal == SIGUSR2 ? 1 : 0)) return 5;
    }
    if (support::descriptors_of(::getpid()) != descriptors) return 7;
    return *count == 0 ? 0 : 6;
  });
  CHECK(user.wait() == 0);
}

TEST_CASE("workers ignore SIGINT, and no thread of a pool's takes the user's signals") {
  ProcessPool pool{2};
  for (const ::pid_t pid : support::pids_of(pool)) ::kill(pid, SIGINT);
  for (int i = 0; i < 50; ++i) CHECK(pool.submit(twice, i).get() == 2 * i);
  CHECK(pool.stats().worker_deaths == 0);
  const auto masks = [] {
    std::vector<std::string> blocked;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
      const std::string status = procpool::detail::read_file(entry.path().string() + "/status");
      if (entry.path().filename() == std::to_string(::getpid())) continue;
      blocked.push_back(status.substr(status.find("SigBlk:") + 8, 16));
    }
    return blocked;
  }();
  REQUIRE_FALSE(masks.empty());
  for (const std::string& mask : masks) CHECK(mask == "fffffffe7ffbfeff");  // all but SIGKILL, SIGSTOP and glibc's two
}

TEST_CASE("a task that forks and returns in the child too gives one result, and what it forked goes") {
  const support::SharedCount children;
  ProcessPool pool{{.workers = 2, .shared_memory = std::size_t{16} << 20}};
  const auto fork_and_return = [children = children.get()](int x) {
    if (::fork() == 0) ++*children;
    return x;
  };
  const auto fork_and_write = [children = children.get()](int x) {
    const bool is_child = ::fork() == 0;
    if (is_child) ++*children;
    return std::string(static_cast<std::size_t>(x) * 1000, is_child ? 'c' : 'p');
  };
  const auto fork_and_throw = [children = children.get()](int x) -> int {
    if (::fork() == 0) ++*children;
    throw std::out_of_range(std::to_string(x));
  };
  for (int i = 0; i < 40; ++i) {
    CHECK(pool.submit(fork_and_return, i).get() == i);
    CHECK(pool.submit(fork_and_write, i).get() == std::string(static_cast<std::size_t>(i) * 1000, 'p'));
    CHECK_THROWS_AS(pool.submit(fork_and_throw, i).get(), std::out_of_range);
  }
  std::vector<int> items(40);
  std::iota(items.begin(), items.end(), 0);
  for (const std::size_t chunk_size : {1U, 8U}) {
    const auto terms = pool.with({.chunk_size = chunk_size});
    CHECK(terms.map(fork_and_return, items) == items);
    const auto texts = terms.map(fork_and_write, items);
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK(texts[i] == std::string(i * 1000, 'p'));
    for (const auto& outcome : terms.map_outcomes(fork_and_throw, items)) CHECK_FALSE(outcome.has_value());
    terms.for_each(fork_and_return, items);
    terms.for_each(
        [children = children.get()](int) {
          if (::fork() == 0) ++*children;
        },
        items);
    CHECK(terms.map_reduce(fork_and_return, std::plus<>{}, 0, items) == 39 * 40 / 2);
  }
  CHECK(support::eventually([&] { return *children >= 120 + 480; }, std::chrono::seconds(20)));
  pool.wait_idle();
  CHECK(*children == 120 + 480);  // None of them went on to the next item.
  CHECK(pool.stats().worker_deaths == 0);
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("what tasks have forked goes with the pool, and what a dead worker's task has forked at once") {
  const support::SharedCount children;
  const auto fork_for_ever = [children = children.get()] {
    if (::fork() == 0) {
      ++*children;
      for (;;) ::pause();
    }
  };
  {
    ProcessPool pool{1};
    const ::pid_t zygote = support::zygote_of(pool);
    for (int i = 0; i < 5; ++i) pool.submit(fork_for_ever).get();
    REQUIRE(support::eventually([&] { return *children == 5; }, std::chrono::seconds(20)));
    CHECK_THROWS_AS(pool.submit([] { die(Way::kill); }).get(), procpool::WorkerDied);
    CHECK(support::kin_that_stays({zygote, support::pids_of(pool).front()}) == "");
    for (int i = 0; i < 5; ++i) pool.submit(fork_for_ever).get();
    REQUIRE(support::eventually([&] { return *children == 10; }, std::chrono::seconds(20)));
  }
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a task that calls exit runs what was registered in the worker, and nothing of the user's process") {
  const support::SharedCount parents;
  const support::SharedCount workers;
  static std::atomic<int>* in_parent = nullptr;
  static std::atomic<int>* in_worker = nullptr;
  in_parent = parents.get();
  in_worker = workers.get();
  struct Static {
    ~Static() { ++*in_parent; }
  };
  UserProcess user([] {
    static const Static object;
    std::atexit([] { ++*in_parent; });
    ::on_exit([](int, void*) { ++*in_parent; }, nullptr);
    ProcessPool pool{2};
    for (int i = 0; i < 3; ++i) {
      try {
        pool.submit([] {
              std::atexit([] { ++*in_worker; });
              std::exit(7);
            })
            .get();
      } catch (const procpool::WorkerDied& death) {
        if (death.exit_status() != 7) return 1;
      }
    }
    static_cast<void>(pool.run_on_each_worker([] {
      std::atexit([] { ++*in_worker; });
      return 1;
    }));
    return 0;
  });
  CHECK(user.wait() == 0);
  CHECK(*workers == 5);
  CHECK(*parents == 0);
}

TEST_CASE("in a child of the user's process every verb is an error that says so, and its end disturbs nobody") {
  ProcessPool pool{2};
  Future<int> open = pool.submit(twice, 3);
  auto shared = pool.submit(twice, 4).share();
  const bool all_refused = true_in_child([&] {
    return is_usage_error([&] { static_cast<void>(pool.submit(twice, 1)); }) &&
           is_usage_error([&] { static_cast<void>(pool.try_submit(twice, 1)); }) && is_usage_error([&] {
             static_cast<void>(pool.map(twice, {1, 2}));
           }) &&
           is_usage_error([&] {
             static_cast<void>(pool.map_async(twice, std::vector<int>{1, 2}));
           }) &&
           is_usage_error([&] {
             static_cast<void>(pool.imap(twice, std::vector<int>{1, 2}));
           }) &&
           is_usage_error([&] {
             pool.for_each(twice, std::vector<int>{1, 2});
           }) &&
           is_usage_error([&] { static_cast<void>(pool.map_reduce(twice, std::plus<>{}, 0, std::vector<int>{1})); }) &&
           is_usage_error([&] { static_cast<void>(pool.run_on_each_worker([] { return 1; })); }) &&
           is_usage_error([&] { pool.close(); }) && is_usage_error([&] { pool.cancel_pending(); }) &&
           is_usage_error([&] { pool.terminate(); }) && is_usage_error([&] { pool.wait_idle(); }) &&
           is_usage_error([&] { static_cast<void>(pool.workers()); }) &&
           is_usage_error([&] { static_cast<void>(pool.stats()); }) &&
           is_usage_error([&] { static_cast<void>(open.get()); }) && is_usage_error([&] { open.wait(); }) &&
           is_usage_error([&] { static_cast<void>(open.is_ready()); }) &&
           is_usage_error([&] { static_cast<void>(shared.get()); });
  });
  CHECK(all_refused);
  CHECK(open.get() == 6);
  CHECK(shared.get() == 8);
  CHECK(pool.submit(twice, 5).get() == 10);
}

TEST_CASE("a pool and its futures that cross a fork may be destroyed there, by exit too") {
  const auto futures = std::make_unique<std::vector<Future<int>>>();
  std::optional<ProcessPool<>> pool(std::in_place, 2);
  for (int i = 0; i < 100; ++i) futures->push_back(pool->submit(twice, i));
  CHECK(true_in_child([&] {
    futures->clear();
    pool.reset();
    ProcessPool own{1};
    return own.submit(twice, 4).get() == 8;
  }));
  UserProcess user([] {
    static ProcessPool<> forgotten{1};
    static Future<int> future = forgotten.submit(twice, 1);
    const ::pid_t child = ::fork();
    if (child == 0) std::exit(0);  // Destroys both, where they are not at home.
    int status = -1;
    ::waitpid(child, &status, 0);
    return status == 0 && forgotten.submit(twice, 2).get() == 4 && future.get() == 2 ? 0 : 1;
  });
  CHECK(user.wait() == 0);
  for (int i = 0; i < 100; ++i) CHECK((*futures)[static_cast<std::size_t>(i)].get() == 2 * i);
}

TEST_CASE("a verb in a worker, of its own pool or another, is an error that says so") {
  ProcessPool outer{1};
  static ProcessPool<>* seen = nullptr;
  seen = &outer;
  ProcessPool inner{1};
  const auto nested = [] { return seen->submit(twice, 1).get(); };
  CHECK_THROWS_AS(inner.submit(nested).get(), UsageError);
  CHECK_THROWS_WITH(inner.submit(nested).get(), Catch::Matchers::ContainsSubstring("worker"));
}

TEST_CASE("a task may make a pool of its own") {
  ProcessPool pool{1};
  const auto nested = [](int x) {
    ProcessPool own{1};
    return own.submit(twice, x).get() + own.submit(twice, x).get();
  };
  for (int i = 0; i < 3; ++i) CHECK(pool.submit(nested, i).get() == 4 * i);
}

TEST_CASE(
    "workers hold neither each other's descriptors nor those of other pools, and read nothing of standard input") {
  const auto sockets_and_memory = [] {
    std::vector<std::string> open;
    for (int fd = 0; fd < 256; ++fd) {
      std::array<char, 256> target{};
      if (::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size() - 1) <= 0) continue;
      const std::string name = target.data();
      if (name.starts_with("socket:") || name.find("memfd:procpool") != std::string::npos) open.push_back(name);
    }
    return open.size();
  };
  ProcessPool first{3};
  ProcessPool second{1};
  ProcessPool third{2};
  for (const auto* pool : {&first, &second, &third}) {
    for (const std::size_t open : pool->run_on_each_worker(sockets_and_memory)) CHECK(open == 1);  // its memory
    CHECK(pool->submit([] {
                char c = 0;
                return ::read(STDIN_FILENO, &c, 1);
              })
              .get() == 0);
  }
}

TEST_CASE("text that stood in standard output before a pool appears once") {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  UserProcess user([&] {
    ::dup2(pipe[1], STDOUT_FILENO);
    ::close(pipe[0]);
    ::close(pipe[1]);
    ::setvbuf(stdout, nullptr, _IOFBF, 1 << 16);
    std::printf("before;");
    {
      ProcessPool pool{{.workers = 2, .preload = [] { std::printf("preload;"); }}};
      static_cast<void>(pool.run_on_each_worker([] { return std::printf("task;"); }));
      try {
        pool.submit([] {
              std::printf("doomed;");
              std::exit(1);
            })
            .get();
      } catch (const procpool::WorkerDied&) {
      }
    }
    std::printf("after;");
    std::fflush(stdout);
    return 0;
  });
  ::close(pipe[1]);
  std::string text;
  std::array<char, 4096> piece{};
  for (::ssize_t size = 0; (size = ::read(pipe[0], piece.data(), piece.size())) > 0;) {
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
  ::close(pipe[0]);
  CHECK(user.wait() == 0);
  CHECK(text == "before;preload;task;task;doomed;after;");
}
