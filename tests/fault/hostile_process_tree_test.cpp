// SPDX-License-Identifier: BSL-1.0

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/leftovers.hpp"
#include "../support/namespaces.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"
#include "../support/user_process.hpp"

using procpool::ProcessPool;
using procpool::WorkerDied;
using support::twice;
using support::UserProcess;

namespace {

template <class Future>
bool dies(Future future) {
  try {
    static_cast<void>(future.get());
  } catch (const WorkerDied&) {
    return true;
  }
  return false;
}

/// A task that leaves a process which runs for ever.
void fork_for_ever() {
  if (::fork() != 0) return;
  for (;;) ::pause();
}

bool has_no_child() { return ::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD; }

/// Pools that work, lose a worker and end in every way, in a process that adopts orphans. 0: no child is left of them,
/// dead or alive.
int make_pools_as_adopter() {
  {
    ProcessPool pool{2};
    if (pool.submit(twice, 2).get() != 4) return 1;
    pool.submit(fork_for_ever).get();
    if (!dies(pool.submit([] { ::raise(SIGKILL); }))) return 2;
    pool.submit(fork_for_ever).get();
  }
  if (!has_no_child()) return 3;
  {
    ProcessPool pool{2};
    pool.submit(fork_for_ever).get();
    pool.terminate();
  }
  if (!has_no_child()) return 4;
  {
    ProcessPool pool{1};
    ::kill(support::zygote_of(pool), SIGKILL);
    try {
      while (pool.submit(twice, 1).get() == 2) {
      }
      return 5;
    } catch (const procpool::BrokenPool&) {
    }
  }
  while (::wait(nullptr) > 0) {  // Its workers have gone with it, and are nobody's but this process's to wait for.
  }
  try {
    const ProcessPool pool{{.workers = 1, .preload = [] { throw std::runtime_error("no"); }}};
    return 7;
  } catch (const std::runtime_error&) {
  }
  if (!has_no_child()) return 8;
  try {
    const ProcessPool pool{{.workers = 1, .preload = [] { ::_exit(1); }}};
    return 9;
  } catch (const procpool::BrokenPool&) {
  }
  return has_no_child() ? 0 : 10;
}

/// The next processes get pids above this one, so that no worker gets that of the worker before it.
void set_last_pid(::pid_t pid) { std::ofstream("/proc/sys/kernel/ns_last_pid") << pid; }

/// Forks a process that any signal would end, and that has this pid; 0 if the system does not give it.
::pid_t fork_innocent(::pid_t pid) {
  for (int tries = 0; tries < 100; ++tries) {
    set_last_pid(pid - 1);
    const ::pid_t child = ::fork();
    if (child == 0) {
      for (;;) ::pause();
    }
    if (child == pid) return child;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  return 0;
}

/// Workers and zygotes die in every way, others get their pids, and all that a pool may signal is signalled. 0: no
/// other was.
int reuse_pids() {
  std::vector<::pid_t> innocents;
  const auto reuse = [&](::pid_t pid) {
    innocents.push_back(fork_innocent(pid));
    set_last_pid(1000 * static_cast<::pid_t>(innocents.size()));
    return innocents.back() == pid;
  };
  const support::Shared<std::atomic<::pid_t>> worker;
  const auto run_for_ever = [worker = worker.get()] {
    *worker = ::getpid();
    for (;;) ::pause();
  };
  {
    ProcessPool pool{1};
    set_last_pid(500);
    const ::pid_t first = support::pids_of(pool).front();
    if (!dies(pool.submit([] { ::raise(SIGKILL); }))) return 1;
    if (pool.submit([] { return ::getpid(); }).get() == first || !reuse(first)) return 1;  // Its successor is there.
    auto killed = pool.submit(run_for_ever);
    if (!support::eventually([&] { return *worker != 0; }, std::chrono::seconds(20))) return 2;
    killed.kill();
    if (pool.submit([] { return ::getpid(); }).get() == *worker || !reuse(*worker)) return 3;
    killed = {};
    *worker = 0;
    auto late = pool.with({.timeout = std::chrono::milliseconds(20), .grace = {}}).submit(run_for_ever);
    if (!late.exception() || pool.submit([] { return ::getpid(); }).get() == *worker || !reuse(*worker)) return 4;
    pool.submit(fork_for_ever).get();
    pool.terminate();
  }
  {
    ProcessPool pool{2};
    const ::pid_t zygote = support::zygote_of(pool);
    const std::vector<::pid_t> workers = support::pids_of(pool);
    ::kill(zygote, SIGKILL);
    while (::wait4(zygote, nullptr, WNOHANG, nullptr) == 0) std::this_thread::yield();  // Process 1 adopts them all.
    for (const ::pid_t pid : workers) ::waitpid(pid, nullptr, 0);
    for (const ::pid_t pid : {zygote, workers[0], workers[1]}) {
      if (!reuse(pid)) return 5;
    }
    pool.terminate();
  }
  for (const ::pid_t innocent : innocents) {
    if (::waitpid(innocent, nullptr, WNOHANG) != 0) return 6;
  }
  return innocents.size() == 6 ? 0 : 7;
}

/// Whether it could run at all.
bool was_allowed(int status) {
  if (!WIFEXITED(status) || WEXITSTATUS(status) != support::not_allowed_here) return true;
  support::skip_case("no namespaces of processes and mounts can be made here");
  return false;
}

}  // namespace

TEST_CASE("a user's process that is the first of its system has no dead child of a pool's afterwards") {
  UserProcess user([] { return support::as_first_process(make_pools_as_adopter); });
  const int status = user.wait();
  if (!was_allowed(status)) return;
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
}

TEST_CASE("a user's process that adopts orphans has no dead child of a pool's afterwards") {
  UserProcess user([] {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    return make_pools_as_adopter();
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
}

TEST_CASE("a preload that prints to a pipe which nobody reads, and fails, holds up no process that adopts orphans") {
  UserProcess user([] {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::array<int, 2> output{};
    if (::pipe2(output.data(), O_NONBLOCK | O_CLOEXEC) != 0) return 1;
    const std::array<char, 4096> page{};
    while (::write(output[1], page.data(), page.size()) > 0) {
    }
    ::fcntl(output[1], F_SETFL, 0);
    ::dup2(output[1], STDOUT_FILENO);
    ::setvbuf(stdout, nullptr, _IOFBF, page.size());
    try {
      const ProcessPool pool{{.workers = 1, .preload = [] {
                                std::printf("before it fails");
                                throw std::runtime_error("no");
                              }}};
      return 2;
    } catch (const std::runtime_error&) {
    }
    return has_no_child() ? 0 : 3;
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
}

TEST_CASE("a process that gets the pid of a dead worker or zygote is never signalled in its place") {
  UserProcess user([] {
    return support::as_first_process([] {
      if (::access("/proc/sys/kernel/ns_last_pid", W_OK) != 0) return support::not_allowed_here;
      return reuse_pids();
    });
  });
  const int status = user.wait();
  if (!was_allowed(status)) return;
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
}

TEST_CASE("a pool works and ends where there is no /proc, and what its tasks have forked goes with it") {
  UserProcess user([] {
    if (!support::leave_the_mounts_of_the_system()) return support::not_allowed_here;
    while (::umount2("/proc", MNT_DETACH) == 0) {
    }
    if (::access("/proc/self", F_OK) == 0) return support::not_allowed_here;
    for (const bool is_terminated : {false, true}) {
      ProcessPool pool{2};
      pool.submit(fork_for_ever).get();
      if (!dies(pool.submit([] { ::raise(SIGSEGV); })) || pool.submit(twice, 2).get() != 4) return 1;
      pool.submit(fork_for_ever).get();
      if (is_terminated) pool.terminate();
    }
    return 0;
  });
  const int status = user.wait();
  if (!was_allowed(status)) return;
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a pool works and ends in a system of processes that /proc does not show") {
  UserProcess user([] {
    return support::as_first_process([] {
      if (::umount("/proc") != 0) return support::not_allowed_here;  // It is the whole system's again.
      ProcessPool pool{2};
      pool.submit(fork_for_ever).get();
      if (!dies(pool.submit([] { ::raise(SIGKILL); })) || pool.submit(twice, 2).get() != 4) return 1;
      pool.submit(fork_for_ever).get();
      return 0;
    });
  });
  const int status = user.wait();
  if (!was_allowed(status)) return;
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
}
