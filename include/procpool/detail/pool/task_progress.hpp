// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the user's progress callback is told of a single task.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include <procpool/detail/task/reported_progress.hpp>
#include <procpool/detail/task/result_handle.hpp>
#include <procpool/detail/task/when_ended.hpp>
#include <procpool/task/progress.hpp>

namespace procpool::detail {

/// Looks at what the task reports, on the dispatch thread. What the callback throws is ignored, as from any callback
/// of a future.
class TaskProgress final : public Recurring {
 public:
  using Callback = std::function<void(const Progress&)>;

  /// `numbers` lies in the note of the task, which `task` keeps.
  TaskProgress(ResultHandle task, const ReportedProgress& numbers, Callback report,
               std::shared_ptr<const std::string> label)
      : task_(std::move(task)), numbers_(numbers), report_(std::move(report)), label_(std::move(label)) {}

  bool recur() noexcept override {
    if (is_over_) return false;
    const ReportedProgress::Numbers now = numbers_.was_reported();
    if (now != last_) tell(now);
    last_ = now;
    return true;
  }

  /// The task has ended, well or not: all of it is done. One that has reported nothing is a single item.
  void finish() noexcept {
    is_over_ = true;
    const ReportedProgress::Numbers reported = numbers_.was_reported();
    const std::uint64_t all = std::max<std::uint64_t>({reported.done, reported.total, 1});
    tell({all, all});
    task_ = ResultHandle();
  }

 private:
  void tell(ReportedProgress::Numbers numbers) noexcept {
    Progress progress{numbers.done, numbers.total};
    if (label_) progress.label = *label_;
    try {
      report_(progress);
    } catch (...) {
    }
  }

  ResultHandle task_;
  const ReportedProgress& numbers_;
  Callback report_;
  std::shared_ptr<const std::string> label_;
  ReportedProgress::Numbers last_;
  bool is_over_ = false;
};

/// Runs at the end of the task.
class FinishProgress final : public Continuation {
 public:
  explicit FinishProgress(std::shared_ptr<TaskProgress> progress) noexcept : progress_(std::move(progress)) {}
  void run() noexcept override { progress_->finish(); }

 private:
  std::shared_ptr<TaskProgress> progress_;
};

/// From now on the dispatch thread tells of the task, for the last time at its end.
inline void follow_progress(const ResultHandle& task, const ReportedProgress& numbers, TaskProgress::Callback report,
                            std::shared_ptr<const std::string> label) {
  const ResultHandle source = task.duplicate();
  const auto progress = std::make_shared<TaskProgress>(task.duplicate(), numbers, std::move(report), std::move(label));
  run_when_ended(source, std::make_unique<FinishProgress>(progress));
  source.exchange().dispatcher.repeat(progress);
}

}  // namespace procpool::detail
