// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Ways for a worker to die in the middle of a task, and what has to be left of it afterwards: nothing.

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <procpool/detail/os/pidfd.hpp>
#include <procpool/detail/os/read_file.hpp>
#include <procpool/detail/task/worker_self.hpp>
#include <procpool/pool/process_pool.hpp>

#include "patience.hpp"

namespace support {

enum class Way {
  segfault,
  raise_segv,
  raise_fpe,
  kill,
  terminate_signal,
  real_time_signal,
  abort,
  std_terminate,
  quiet_exit_0,
  quiet_exit_3,
  exit_0,
  exit_42,
  quick_exit_5,
  thread_exit,
};
inline constexpr std::array all_ways = {
    Way::segfault,         Way::raise_segv, Way::raise_fpe,     Way::kill,         Way::terminate_signal,
    Way::real_time_signal, Way::abort,      Way::std_terminate, Way::quiet_exit_0, Way::quiet_exit_3,
    Way::exit_0,           Way::exit_42,    Way::quick_exit_5,  Way::thread_exit};

/// How the zygote sees it.
struct Ending {
  int signal = 0;
  int exit_status = -1;
};
[[nodiscard]] constexpr Ending ending_of(Way way) noexcept {
  switch (way) {
    case Way::segfault:
    case Way::raise_segv: return {SIGSEGV, -1};
    case Way::raise_fpe: return {SIGFPE, -1};
    case Way::kill: return {SIGKILL, -1};
    case Way::terminate_signal: return {SIGTERM, -1};
    case Way::real_time_signal: return {40, -1};
    case Way::abort:
    case Way::std_terminate: return {SIGABRT, -1};
    case Way::quiet_exit_0:
    case Way::exit_0:
    case Way::thread_exit: return {0, 0};
    case Way::quiet_exit_3: return {0, 3};
    case Way::exit_42: return {0, 42};
    case Way::quick_exit_5: return {0, 5};
  }
  return {};
}

/// Ends the calling process.
[[noreturn]] inline void die(Way way) {
  switch (way) {
    case Way::segfault: {
      void* nothing = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      *static_cast<volatile int*>(nothing) = 1;
      break;
    }
    case Way::raise_segv: ::raise(SIGSEGV); break;
    case Way::raise_fpe: ::raise(SIGFPE); break;
    case Way::kill: ::kill(::getpid(), SIGKILL); break;
    case Way::terminate_signal: ::raise(SIGTERM); break;
    case Way::real_time_signal: ::raise(40); break;
    case Way::abort: std::abort();
    case Way::std_terminate: std::terminate();
    case Way::quiet_exit_0: ::_exit(0);
    case Way::quiet_exit_3: ::_exit(3);
    case Way::exit_0: std::exit(0);
    case Way::exit_42: std::exit(42);
    case Way::quick_exit_5: std::quick_exit(5);
    case Way::thread_exit: ::pthread_exit(nullptr);
  }
  ::_exit(99);
}

[[nodiscard]] inline bool is_in_worker() noexcept { return procpool::detail::current_worker() != nullptr; }

/// The death that the future throws.
template <class T>
[[nodiscard]] procpool::WorkerDied death_of(procpool::Future<T> future) {
  try {
    static_cast<void>(future.get());
  } catch (const procpool::WorkerDied& death) {
    return death;
  }
  throw std::logic_error("the task did not die");
}

/// The process that forks a pool's workers.
template <class State>
[[nodiscard]] ::pid_t zygote_of(const procpool::ProcessPool<State>& pool) {
  return pool.submit([] { return ::getppid(); }).get();
}

/// Pids of the workers, once all are there.
template <class State>
[[nodiscard]] std::vector<::pid_t> pids_of(const procpool::ProcessPool<State>& pool) {
  std::vector<::pid_t> pids;
  const auto are_there = [&] {
    pids.clear();
    for (const auto& worker : pool.workers()) pids.push_back(worker.pid);
    return std::count(pids.begin(), pids.end(), 0) == 0;
  };
  if (!eventually(are_there, std::chrono::seconds(20))) throw std::runtime_error("a worker is not there");
  return pids;
}

/// Sends a signal to `pid` if it is a child of `parent`, and surely to that process though its pid may be used again.
inline void signal_child_of(::pid_t parent, ::pid_t pid, int signal) {
  const procpool::detail::UniqueFd process = procpool::detail::open_pidfd(pid);
  const std::string status = procpool::detail::read_file("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = status.rfind(") ");  // then the state, and the parent
  if (!process.is_open() || name_end == std::string::npos || std::atoi(status.c_str() + name_end + 4) != parent) return;
  ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0);
}

/// True if a result lies in a pool's memory that nobody has given back.
template <class State>
[[nodiscard]] bool holds_results(const procpool::ProcessPool<State>& pool) {
  const procpool::detail::Outbox& outbox = pool.sender().core->exchange().outbox;
  for (std::size_t i = 0; i < outbox.count(); ++i) {
    if (!outbox.extent(i).was_empty()) return true;
  }
  return false;
}

/// What of a pool's memory is still taken, though no future is left and no task runs; empty if nothing is.
template <class State>
[[nodiscard]] std::string what_is_left(const procpool::ProcessPool<State>& pool) {
  using namespace procpool::detail;
  PoolCore& core = *pool.sender().core;
  Exchange& exchange = core.exchange();
  const auto is_alive = [&](Life life) {
    for (std::size_t i = 0; i < core.workers(); ++i) {
      const LifeRegister& lives = core.layout().lives(i);
      if (lives.born.load() == life && lives.dead.load() != life) return true;
    }
    return false;
  };
  std::string left;
  const auto look = [&] {
    left.clear();
    exchange.sweep(SIZE_MAX);
    for (Handle handle = 0; handle < exchange.slots.was_used(); ++handle) {
      if (exchange.slots.was_in_use(handle)) left += "slot " + std::to_string(handle) + "; ";
    }
    for (std::size_t i = 0; i < exchange.outbox.count(); ++i) {
      const Extent& extent = exchange.outbox.extent(i);
      const Life owner = extent.owner.load();
      const bool is_free = owner == 0 && extent.was_empty();
      const bool is_ready = extent.was_empty() && extent.run.load() == 0 && is_alive(owner);
      if (is_free || is_ready) continue;
      left += "extent " + std::to_string(i) + " of life " + std::to_string(owner) + " with " +
              std::to_string(extent.allocated.load()) + " blocks, " + std::to_string(extent.freed.load()) +
              " given back, run " + std::to_string(extent.run.load()) + "; ";
    }
    const std::size_t arguments = exchange.arguments.was_in_use() + exchange.data.was_in_use();
    if (arguments != 0) left += std::to_string(arguments) + " bytes of arguments; ";
    return left.empty();
  };
  static_cast<void>(eventually(look, std::chrono::seconds(5)));
  return left;
}

/// Bytes of blocks that hold arguments.
template <class State>
[[nodiscard]] std::size_t argument_bytes(const procpool::ProcessPool<State>& pool) {
  return pool.sender().core->exchange().arguments.was_in_use();
}

}  // namespace support
