// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// run_on_each_worker: one task in the mailbox of every worker.

#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/detail/pool/map_sinks.hpp>
#include <procpool/detail/pool/progress_reports.hpp>
#include <procpool/detail/task/cancel_together.hpp>

namespace procpool::detail {

/// The tasks of one call. What has not begun when they go, because the call ended early, is not wanted: a mailbox holds
/// one task, and the next call needs it.
class PostedTasks {
 public:
  PostedTasks() = default;
  PostedTasks(const PostedTasks&) = delete;
  PostedTasks& operator=(const PostedTasks&) = delete;
  ~PostedTasks() {
    for (const ResultHandle& task : tasks_) {
      if (task.valid() && task.exchange().home.is_here()) task.cancel();
    }
  }

  void add(ResultHandle task) {
    keep_or_cancel(task, [&] { tasks_.push_back(std::move(task)); });
  }
  [[nodiscard]] std::size_t size() const noexcept { return tasks_.size(); }
  [[nodiscard]] ResultHandle& operator[](std::size_t worker) noexcept { return tasks_[worker]; }

 private:
  std::vector<ResultHandle> tasks_;
};

/// The results by worker index; void if f returns void. All have ended when it returns or throws the first failure.
template <class State, class F, class... Args>
auto broadcast(const Sender& sender, const F& f, const Args&... args) {
  using ThisCall = Call<F, State, sent_t<const Args&>...>;
  using R = call_result_t<F, State, sent_t<const Args&>...>;
  PoolCore& core = *sender.core;
  core.require_home();
  sender.check(f, ThisCall::run);
  const ExclusiveTurn one_at_a_time = core.broadcast_turn();
  PostedTasks tasks;
  for (std::size_t worker = 0; worker < core.workers(); ++worker) {
    OutgoingTask task = ThisCall::send(
        sender.given_terms(),
        [&](TaskNote& note, std::size_t bytes) {
          sender.require_own(note);
          return core.allocate(core.exchange().arguments, bytes, true);
        },
        f, args...);
    tasks.add(core.post(worker, task.record, std::move(task.note)));
  }
  ProgressReports progress(sender, tasks.size());
  for (std::size_t worker = 0; worker < tasks.size(); ++worker) {
    tasks[worker].wait();
    progress.add(1);
  }
  progress.finish();
  std::conditional_t<std::is_void_v<R>, NoValues, OptionalValues<R>> sink;
  for (std::size_t worker = 0; worker < tasks.size(); ++worker) {
    try {
      if constexpr (std::is_void_v<R>) take_result<R>(std::move(tasks[worker]));
      else sink.place(worker, take_result<R>(std::move(tasks[worker])));
    } catch (...) {
      sink.fail(worker, std::current_exception());
    }
  }
  return sink.finish();
}

}  // namespace procpool::detail
