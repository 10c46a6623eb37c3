// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Judges workers that end before they are ready: whether any ever will be.

#include <signal.h>
#include <sys/wait.h>

#include <cstddef>
#include <exception>
#include <string>
#include <utility>

#include <procpool/detail/pool/death_findings.hpp>
#include <procpool/detail/pool/initializer_failure.hpp>
#include <procpool/detail/pool/row.hpp>
#include <procpool/error/pool_errors.hpp>
#include <procpool/error/worker_died.hpp>

namespace procpool::detail {

/// Only lives that never became ready count: a map whose every item crashes is slow, not broken. And one that SIGKILL
/// ended before its initializer began has run nothing of the user's: somebody outside kills workers, which says nothing
/// of whether they can work, unless so many go that way that the system has no room for any (out of memory).
class UnreadyLives {
 public:
  /// A life has become ready.
  void forget() noexcept { failures_ = early_kills_ = 0; }

  /// Why the pool of so many `workers` is broken, now that `life` has ended before it was ready; null if others may do
  /// better.
  [[nodiscard, gnu::cold]] std::exception_ptr judge(std::size_t workers, const Row& row, Life life, ::pid_t pid,
                                                    int status);

 private:
  static constexpr std::size_t most_early_kills = 1000;

  std::size_t failures_ = 0;     // in a row
  std::size_t early_kills_ = 0;  // since a life was ready; not among the failures
};

inline std::exception_ptr UnreadyLives::judge(std::size_t workers, const Row& row, Life life, ::pid_t pid, int status) {
  DeathReport report;
  report.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  report.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (report.exit_status == initializer_failed_status) return broken_by_initializer(reported_failure(row, pid));
  const bool has_begun = row.begun.load(std::memory_order_relaxed) == life;  // relaxed: as above
  ++(report.signal == SIGKILL && !has_begun ? early_kills_ : failures_);
  if (failures_ <= workers + 5 && early_kills_ <= most_early_kills) return nullptr;
  add_crash(report, row, life);
  return std::make_exception_ptr(BrokenPool("the pool's workers end before they are ready, " +
                                            std::to_string(failures_ + early_kills_) +
                                            " in a row; the last one: " + WorkerDied(std::move(report)).what()));
}

}  // namespace procpool::detail
