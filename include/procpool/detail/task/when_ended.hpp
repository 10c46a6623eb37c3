// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Code of this process that goes on when a task has ended.

#include <memory>
#include <mutex>
#include <utility>

#include <procpool/detail/task/result_handle.hpp>

namespace procpool::detail {

/// Runs `continuation`, which may own `source`, on the dispatch thread once the task has ended. After the end of its
/// pool there is no such thread: then it runs on the thread that ends the task, which may still wait for another pool,
/// or here, if the task has ended or is just being ended. If this throws, for want of memory or of a thread,
/// `continuation` is left as it was.
inline void run_when_ended(const ResultHandle& source, std::unique_ptr<Continuation>&& continuation) {
  if (source.exchange().dispatcher.after(source.handle(), continuation)) return;
  source.wait();
  continuation->run();
}

/// The task that a continuation waits for: the continuation takes it in the end, others may cancel it before.
class Source final : public Upstream {
 public:
  /// Before others know of it, as handle().
  void set(ResultHandle handle) noexcept { handle_ = std::move(handle); }
  [[nodiscard]] const ResultHandle& handle() const noexcept { return handle_; }

  /// The task has ended.
  [[nodiscard]] ResultHandle take() {
    const std::lock_guard lock(mutex_);
    may_have_run_ = handle_.may_have_run();
    return std::move(handle_);
  }

  bool cancel(std::shared_ptr<Upstream>& further) override {
    const std::lock_guard lock(mutex_);
    return handle_.valid() ? handle_.cancel(further) : !may_have_run_;
  }
  void kill(std::shared_ptr<Upstream>& further) override {
    const std::lock_guard lock(mutex_);
    if (handle_.valid()) handle_.kill(further);
  }

 private:
  std::mutex mutex_;
  ResultHandle handle_;
  bool may_have_run_ = true;  // the task that was taken
};

}  // namespace procpool::detail
