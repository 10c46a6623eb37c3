// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How long a task may take, how often it may be tried, and how often it was.
///
/// Shared by  threads of the user's process: the sender writes it before the task is sent, then the supervisor.
/// Crash      it dies with the user's process only.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <procpool/error/worker_died.hpp>

namespace procpool::detail {

/// What of the terms of a task concerns the supervisor.
struct SupervisedTerms {
  std::chrono::nanoseconds timeout{0};        // from the start of a try; 0: none
  std::chrono::nanoseconds queue_timeout{0};  // from the sending to the first start; 0: none
  std::chrono::nanoseconds grace{0};          // from the timeout to the death of the worker
  int retries = 0;                            // after the worker's death
  int retries_on_timeout = 0;

  [[nodiscard]] bool are_default() const noexcept {
    return timeout.count() == 0 && queue_timeout.count() == 0 && retries == 0 && retries_on_timeout == 0;
  }
  [[nodiscard]] bool have_deadline() const noexcept { return timeout.count() != 0 || queue_timeout.count() != 0; }
};

/// The tries of a task, or of one item of a chunk, that have come to nothing.
class Tries {
 public:
  explicit Tries(const SupervisedTerms& terms) noexcept : terms_(terms) {}

  [[nodiscard]] const SupervisedTerms& terms() const noexcept { return terms_; }

  /// It was sent with that ticket; when it is queued again it gets others.
  void note_sending(std::uint64_t ticket) noexcept { sent_as_ = ticket; }
  [[nodiscard]] bool was_sent_as(std::uint64_t ticket) const noexcept { return sent_as_ == ticket; }

  /// The worker died, of itself: true if the task is to be tried again. If not, `report` tells of the earlier deaths;
  /// asked again, it answers the same. Without memory it throws, and no try is used up.
  /// Items come in their order: one before the last is a wild write's, and has no tries of its own, or they had no end.
  [[nodiscard]] bool try_again_after(DeathReport& report, std::size_t item) {
    if (item > item_) *this = Tries(terms_, item);
    report.attempt = 1 + deaths_ + timeouts_;
    if (deaths_ == terms_.retries) {
      report.earlier = reports_;
      return false;
    }
    reports_.push_back(report);
    ++deaths_;
    return true;
  }

  /// The try that runs has a successor if it takes too long.
  [[nodiscard]] bool may_time_out() const noexcept { return timeouts_ < terms_.retries_on_timeout; }
  void count_timeout() noexcept { ++timeouts_; }

 private:
  Tries(const SupervisedTerms& terms, std::size_t item) noexcept : terms_(terms), item_(item) {}

  SupervisedTerms terms_;
  std::uint64_t sent_as_ = 0;  // of a task with a queue timeout
  std::size_t item_ = 0;       // of a chunk
  int deaths_ = 0;
  int timeouts_ = 0;
  std::vector<DeathReport> reports_;  // of the deaths
};

}  // namespace procpool::detail
