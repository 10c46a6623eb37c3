// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the user's progress callback is told of a single task.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <list>
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

  /// `numbers` will lie in the note of the task.
  TaskProgress(const ReportedProgress& numbers, Callback report, std::shared_ptr<const std::string> label)
      : numbers_(numbers), report_(std::move(report)), label_(std::move(label)) {}

  /// Before it is looked at. `task` keeps the note.
  void set_task(ResultHandle task) noexcept { task_ = std::move(task); }

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

/// All that it takes to tell of a task is made before that is sent.
class ProgressFollower {
 public:
  ProgressFollower(Dispatcher& dispatcher, const ReportedProgress& numbers, TaskProgress::Callback report,
                   std::shared_ptr<const std::string> label)
      : progress_(std::make_shared<TaskProgress>(numbers, std::move(report), std::move(label))),
        finish_(std::make_unique<FinishProgress>(progress_)), recurring_(1, progress_) {
    dispatcher.prepare();
  }

  /// From now on the dispatch thread tells of the task, for the last time at its end. Once. If this throws, which
  /// is rare, see prepare(), nothing is told.
  void follow(const ResultHandle& task) {
    progress_->set_task(task.duplicate());
    const ResultHandle source = task.duplicate();
    run_when_ended(source, std::move(finish_));
    source.exchange().dispatcher.repeat(std::move(recurring_));
  }

 private:
  std::shared_ptr<TaskProgress> progress_;
  std::unique_ptr<FinishProgress> finish_;
  std::list<std::shared_ptr<Recurring>> recurring_;
};

}  // namespace procpool::detail
