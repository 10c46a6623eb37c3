// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What is found about a worker's death in its row and its register of lives.

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <procpool/detail/os/oom_kills.hpp>
#include <procpool/detail/os/raw_stack.hpp>
#include <procpool/detail/pool/crash_handler.hpp>
#include <procpool/detail/pool/row.hpp>
#include <procpool/error/worker_died.hpp>

namespace procpool::detail {

/// Adds to a report, which has the signal that ended the process, what the crash handler of that life has told. If the
/// handler itself was ended, by its alarm or a crash of its own, then the signal that it was called for is the one that
/// matters.
[[gnu::cold]] inline void add_crash(DeathReport& report, const Row& row, Life life) {
  const ToldCrash crash = row.crash.read(life);
  bool is_crash = false;
  for (const int signal : crash_signals) is_crash |= signal == crash.signal;
  if (!is_crash) return;
  const bool was_handler_ended = !crash.is_complete && report.signal != 0;
  if (was_handler_ended) report.signal = crash.signal;
  if (report.signal != crash.signal) return;
  report.fault_address = crash.address;
  report.stack = CrashStack(crash.stack, describe);
}

/// True if the kernel may have killed, for want of memory, one of so many `workers` whose end waitpid(2) tells as
/// `status`. Who settles the death takes that kill, told or not, so that no later one is told as it.
[[nodiscard, gnu::cold]] inline bool was_for_memory(int status, std::optional<OomKills>& oom_kills,
                                                    std::size_t workers) {
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && oom_kills && oom_kills->has_untaken(workers);
}

/// Adds all that is found about the last death of one of so many `workers`. Who settles it takes the kill for want of
/// memory that was found.
[[gnu::cold]] inline void add_findings(DeathReport& report, const Row& row, const LifeRegister& lives,
                                       std::optional<OomKills>& oom_kills, std::size_t workers) {
  // relaxed: this and the next two were published with `dead`, which the caller has acquired.
  const Life life = lives.dead.load(std::memory_order_relaxed);
  const std::uint64_t last_peak = lives.peak_memory.load(std::memory_order_relaxed);
  report.cpu_time = std::chrono::nanoseconds(lives.cpu_time.load(std::memory_order_relaxed));
  report.peak_memory = std::max(last_peak, row.peak.of(life));
  add_crash(report, row, life);
  report.out_of_memory = report.signal == SIGKILL && oom_kills && oom_kills->has_untaken(workers);
}

}  // namespace procpool::detail
