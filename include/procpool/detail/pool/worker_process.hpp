// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a freshly forked process does to become a worker, and how it ends.

#include <cxxabi.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include <procpool/detail/os/library_threads.hpp>
#include <procpool/detail/os/own_memory.hpp>
#include <procpool/detail/os/signals.hpp>
#include <procpool/detail/os/stdio_flush.hpp>
#include <procpool/detail/pool/crash_handler.hpp>
#include <procpool/detail/pool/initializer_failure.hpp>
#include <procpool/detail/pool/worker.hpp>
#include <procpool/detail/pool/worker_program.hpp>

namespace procpool::detail {

/// exit() in a worker ends it here, with what was registered in the worker done and the handlers and static destructors
/// of the user's process not run.
inline void leave_without_the_parents_handlers(int status, void*) noexcept {
  flush_standard_streams();
  ::_exit(status);
}

inline void set_limit(__rlimit_resource_t resource, std::size_t value) noexcept {
  if (value == 0) return;
  rlimit limit{};
  ::getrlimit(resource, &limit);
  limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || value <= limit.rlim_max ? value : limit.rlim_max;
  ::setrlimit(resource, &limit);
}

inline void apply_limits(const WorkerLimits& limits) noexcept {
  set_limit(RLIMIT_AS, limits.address_space);
  set_limit(RLIMIT_CPU, limits.cpu_seconds);
  set_limit(RLIMIT_NOFILE, limits.open_files);
  set_limit(RLIMIT_CORE, limits.core_size);
}

/// One CPU of those usable, in order of the worker's index.
inline void pin_to_cpu(WorkerIndex index) noexcept {
  cpu_set_t usable;
  if (::sched_getaffinity(0, sizeof usable, &usable) != 0 || CPU_COUNT(&usable) == 0) return;
  int left = static_cast<int>(index) % CPU_COUNT(&usable);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &usable) || left-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

/// When memory runs out, the kernel should take a worker and not the user's process, whose own score may be a high one.
inline void volunteer_for_the_oom_killer() noexcept {
  const int file = ::open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  char score[16] = {};
  if (::read(file, score, sizeof score - 1) > 0) {
    const int length = std::snprintf(score, sizeof score, "%d", std::min(1000, std::atoi(score) + 500));
    [[maybe_unused]] const ssize_t written = ::write(file, score, static_cast<std::size_t>(length));
  }
  ::close(file);
}

/// Standard input belongs to the user's process: two readers of a terminal tear lines apart.
inline void leave_stdin_to_the_parent() noexcept {
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing < 0) return;
  ::dup2(nothing, STDIN_FILENO);
  ::close(nothing);
}

/// A number that no other life of any worker of the pool has, the same in each run of the program (splitmix64).
[[nodiscard]] inline std::uint64_t seed_of(Life life) noexcept {
  std::uint64_t z = std::uint64_t{life} * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

[[noreturn]] inline void live_as_worker(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program,
                                        WorkerIndex index, Life life, ::pid_t zygote) {
  ::on_exit(leave_without_the_parents_handlers, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // The zygote has one thread, so it is the zygote's end that this tells of.
  if (::getppid() != zygote) ::_exit(0);
  ::prctl(PR_SET_NAME, "procpool-worker");
  reset_signal_handlers();
  ignore_signals({SIGINT});  // Ctrl-C goes to the whole terminal; the user's process decides what it means.
  volunteer_for_the_oom_killer();
  leave_stdin_to_the_parent();
  if (program.library_threads > 0) cap_library_threads(program.library_threads);
  if (program.pin) pin_to_cpu(index);
  apply_limits(program.limits);
  exchange.guard_what_workers_read();
  unblock_all_signals();

  Row& row = layout.row(index);
  WorkerSelf self;
  self.index = index;
  self.seed = seed_of(life);
  self.retries = &row.retries;
  self.arrays = &exchange.data.region();
  worker_self = &self;
  CrashHandler::install(row.crash, life, __builtin_frame_address(0));
  std::shared_ptr<void> state;
  try {
    if (program.make_state) {
      row.begun.store(life, std::memory_order_relaxed);  // relaxed: read after this death only
      state = program.make_state();
    }
  } catch (...) {
    report_failed_initializer(row);
  }
  self.state = state.get();
  self.state_type = program.state_type;
  row.ready.store(life, std::memory_order_relaxed);  // relaxed: read after this death only, which orders it

  int left = program.max_tasks;
  const OwnMemory memory;
  std::function<bool()> is_worn;  // empty where no limit is set: asked after each task
  if (program.max_tasks > 0 || program.max_memory > 0) {
    is_worn = [&, limited = left > 0] {
      return (limited && --left == 0) || (program.max_memory != 0 && memory.bytes() > program.max_memory);
    };
  }
  const bool retires = program.min_workers != 0 && index >= program.min_workers;
  Worker(exchange, layout, index, life).serve(self, is_worn, retires);
  state.reset();
  if (program.at_exit) program.at_exit();
  ::exit(0);
}

/// The whole life of a worker. `zygote` is the process that forked it, and must still be there. What is thrown or
/// unwound ends here: below on the stack lie the user's own frames, which are the user's process's to leave.
[[noreturn]] inline void be_worker(Exchange& exchange, PoolLayout& layout, const WorkerProgram& program,
                                   WorkerIndex index, Life life, ::pid_t zygote) noexcept {
  try {
    live_as_worker(exchange, layout, program, index, life, zygote);
  } catch (const abi::__forced_unwind&) {
    leave_without_the_parents_handlers(EXIT_SUCCESS, nullptr);  // pthread_exit by the last thread of a process
    __builtin_unreachable();
  }
}

}  // namespace procpool::detail
