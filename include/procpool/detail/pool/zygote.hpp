// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The process that forks and reaps every worker: single-threaded, so that no worker is forked from a process with
/// threads.
///
/// Shared by  it reads the supervisor's wishes in the registers of lives and writes births and deaths there; the socket
///            is only a bell, so a thousand deaths need no more room than one.
/// Crash      its end closes the socket: the supervisor sees that at once and breaks the pool; the workers get SIGKILL
///            from the kernel. It leaves, killing its workers, when the user's process ends (pidfd) or execs (end of
///            stream).

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <vector>

#include <procpool/detail/os/own_process.hpp>
#include <procpool/detail/os/unique_fd.hpp>
#include <procpool/detail/pool/crash_handler.hpp>
#include <procpool/detail/pool/worker_process.hpp>

namespace procpool::detail {

class Zygote {
 public:
  Zygote(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program, UniqueFd socket, UniqueFd user_process)
      : exchange_(exchange), layout_(layout), program_(program), socket_(std::move(socket)),
        user_process_(std::move(user_process)), pids_(layout.most_workers(), 0) {}

  /// Never returns. Signals are blocked when it is called, and stay so. An exception must not reach the user's code,
  /// which lies below on the stack.
  [[noreturn]] void run() noexcept;

 private:
  [[nodiscard]] bool must_leave() const noexcept {
    // (9) acquire-load, pairs with (2) of pool_core.hpp, (11) of supervisor.hpp: what its writer made of the tasks lies
    // before the deaths that follow.
    // (10) acquire-load, pairs with (3) of pool_core.hpp: all that was ever published had ended before it was set.
    return is_abandoned_ || layout_.words().is_killed.load(std::memory_order_acquire) != 0 ||
           (layout_.words().is_stopping.load(std::memory_order_acquire) != 0 && !has_workers());
  }
  [[nodiscard]] bool has_workers() const noexcept {
    return std::any_of(pids_.begin(), pids_.end(), [](::pid_t pid) { return pid != 0; });
  }

  void wait_for_news();
  void ring() const noexcept {
    const char news = 'n';
    ::send(socket_.get(), &news, 1, MSG_DONTWAIT | MSG_NOSIGNAL);  // A full socket rings as well.
  }
  void fork_wanted();
  [[nodiscard]] bool fork_worker(std::size_t index, Life life);
  void kill_condemned() const noexcept;
  void reap();
  void record_death(std::size_t index, int status, const rusage& usage) noexcept;
  bool kill_adopted() const noexcept;
  [[noreturn]] void leave();

  Exchange& exchange_;
  PoolLayout& layout_;
  const WorkerProgram& program_;
  UniqueFd socket_;
  UniqueFd user_process_;
  UniqueFd child_signals_;
  std::vector<::pid_t> pids_;  // of the living workers, by index; 0: none
  bool is_abandoned_ = false;
  int failed_forks_ = 0;  // rounds in a row in which one failed
};

inline void Zygote::run() noexcept {
  ::prctl(PR_SET_NAME, "procpool-zygote");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // What a dead worker's tasks have forked comes here, to be killed.
  reset_signal_handlers();             // Among them SIGCHLD: inherited as ignored it would lose every exit status.
  ignore_signals({SIGINT, SIGQUIT, SIGHUP});
  CrashHandler::make_stack();
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  child_signals_ = UniqueFd(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  while (!must_leave()) {
    fork_wanted();
    wait_for_news();
    kill_condemned();
    reap();
  }
  leave();
}

inline void Zygote::wait_for_news() {
  pollfd watched[] = {{socket_.get(), POLLIN, 0}, {child_signals_.get(), POLLIN, 0}, {user_process_.get(), POLLIN, 0}};
  // After a failed fork it tries again later, each time twice as late.
  int timeout = failed_forks_ == 0 ? -1 : std::min(1000, 10 << std::min(failed_forks_, 7));
  if (!child_signals_.is_open()) timeout = 20;  // No descriptor was left: nothing else tells of a death.
  if (::poll(watched, std::size(watched), timeout) <= 0) return;
  if (watched[2].revents != 0) is_abandoned_ = true;
  if (watched[1].revents != 0) {
    signalfd_siginfo ignored[16];
    while (::read(child_signals_.get(), ignored, sizeof ignored) > 0) {
    }
  }
  if (watched[0].revents != 0) {
    char bells[256];
    const ssize_t size = ::recv(socket_.get(), bells, sizeof bells, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) is_abandoned_ = true;
  }
}

inline void Zygote::fork_wanted() {
  bool all = true;
  for (std::size_t index = 0; index < layout_.workers(); ++index) {
    LifeRegister& lives = layout_.lives(index);
    // (1) acquire-load, pairs with (2) of births.hpp: the row was repaired before the next life was wanted.
    const Life wanted = lives.wanted.load(std::memory_order_acquire);
    // relaxed: this process alone writes `born`.
    if (pids_[index] == 0 && wanted > lives.born.load(std::memory_order_relaxed)) all &= fork_worker(index, wanted);
  }
  failed_forks_ = all ? 0 : failed_forks_ + 1;
}

inline bool Zygote::fork_worker(std::size_t index, Life life) {
  const ::pid_t self = ::getpid();
  flush_standard_streams();  // What `preload` has printed must not come out of every worker.
  const ::pid_t pid = ::fork();
  if (pid == 0) {
    socket_.reset();
    user_process_.reset();
    child_signals_.reset();
    be_worker(exchange_, layout_, program_, static_cast<WorkerIndex>(index), life, self);
  }
  LifeRegister& lives = layout_.lives(index);
  if (pid < 0) {
    // (3) release-store, pairs with (4) of births.hpp: the births and deaths before it.
    lives.fork_error.store(errno, std::memory_order_release);
  } else {
    pids_[index] = pid;
    lives.fork_error.store(0, std::memory_order_relaxed);  // relaxed: published by the next store
    lives.pid.store(pid, std::memory_order_relaxed);       // relaxed: as above
    // (5) release-store, pairs with (3) of births.hpp, (2) of condemned_workers.hpp, (1) of pool_stats.hpp, (1)
    // of stopped_workers.hpp: the pid belongs to this life.
    lives.born.store(life, std::memory_order_release);
  }
  ring();
  return pid > 0;
}

/// A pid that was not reaped yet is not another's.
inline void Zygote::kill_condemned() const noexcept {
  for (std::size_t index = 0; index < layout_.workers(); ++index) {
    const LifeRegister& lives = layout_.lives(index);
    // relaxed: the supervisor rings until the life has gone; and `born` is written here alone.
    const Life condemned = lives.condemned.load(std::memory_order_relaxed);
    if (pids_[index] == 0 || condemned != lives.born.load(std::memory_order_relaxed)) continue;
    ::kill(pids_[index], SIGKILL);
  }
}

inline void Zygote::reap() {
  bool anyone = false;
  int status = 0;
  rusage usage{};
  for (::pid_t pid = 0; (pid = ::wait4(-1, &status, WNOHANG, &usage)) > 0;) {
    anyone = true;
    const auto found = std::find(pids_.begin(), pids_.end(), pid);
    if (found != pids_.end()) record_death(static_cast<std::size_t>(found - pids_.begin()), status, usage);
  }
  if (anyone) kill_adopted();
}

inline void Zygote::record_death(std::size_t index, int status, const rusage& usage) noexcept {
  const auto nanoseconds = [](const timeval& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + std::int64_t{time.tv_usec} * 1000;
  };
  pids_[index] = 0;
  LifeRegister& lives = layout_.lives(index);
  // relaxed: this and the next two are published by (7).
  lives.status.store(status, std::memory_order_relaxed);
  lives.peak_memory.store(static_cast<std::uint64_t>(usage.ru_maxrss) * 1024, std::memory_order_relaxed);
  lives.cpu_time.store(nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime), std::memory_order_relaxed);
  const Life life = lives.born.load(std::memory_order_relaxed);  // relaxed: written here alone
  // (7) release-store, pairs with (3) of births.hpp, (8) of supervisor.hpp: the status belongs to this life.
  lives.dead.store(life, std::memory_order_release);
  ring();
}

/// Each of their deaths may bring children of their own, whose adoption SIGCHLD tells no one of: the next reap looks.
/// True if any child is listed.
inline bool Zygote::kill_adopted() const noexcept {
  bool is_any_listed = false;
  for_each_child_of_this_process([&](::pid_t child) {
    is_any_listed = true;
    if (std::find(pids_.begin(), pids_.end(), child) == pids_.end()) ::kill(child, SIGKILL);
  });
  return is_any_listed;
}

inline void Zygote::leave() {
  for (const ::pid_t pid : pids_) {
    if (pid != 0) ::kill(pid, SIGKILL);
  }
  for (;;) {
    if (!kill_adopted() && !has_workers()) {  // for none may be listed
      if (const ::pid_t adopted = search_child(); adopted != 0) ::kill(adopted, SIGKILL);
    }
    int status = 0;
    rusage usage{};
    const ::pid_t pid = ::wait4(-1, &status, 0, &usage);
    if (pid < 0 && errno != EINTR) ::_exit(0);
    const auto found = std::find(pids_.begin(), pids_.end(), pid);
    if (found != pids_.end()) record_death(static_cast<std::size_t>(found - pids_.begin()), status, usage);
  }
}

}  // namespace procpool::detail
