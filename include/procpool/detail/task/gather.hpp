// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// One task of this process that ends when several others have ended.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <procpool/detail/task/cancel_together.hpp>
#include <procpool/detail/task/local_task.hpp>
#include <procpool/detail/task/result_codec.hpp>
#include <procpool/detail/task/when_ended.hpp>

namespace procpool::detail {

/// Waits for all of them, whatever becomes of some; then it has their values, or the failure of the first that failed,
/// by position. Tasks of different pools may be among them.
class Gather : public Upstream {
 public:
  /// `parts` is not empty.
  explicit Gather(std::vector<ResultHandle> parts)
      : task_(parts.front().exchange()), parts_(std::move(parts)), left_(parts_.size() + 1) {}
  Gather(const Gather&) = delete;
  Gather& operator=(const Gather&) = delete;

  /// The owner of the common result. If it throws, for want of memory or of a thread, the parts are let go.
  [[nodiscard]] static ResultHandle start(const std::shared_ptr<Gather>& gather);

  /// Cancels all; true if none of them ever ran or will.
  bool cancel(std::shared_ptr<Upstream>& further) override;
  void kill(std::shared_ptr<Upstream>& further) override;

 private:
  class Part final : public Continuation {
   public:
    explicit Part(std::shared_ptr<Gather> gather) noexcept : gather_(std::move(gather)) {}
    void run() noexcept override { gather_->end_one(); }

   private:
    std::shared_ptr<Gather> gather_;
  };

  /// Makes the common value of tasks that have all succeeded.
  virtual std::shared_ptr<void> collect(std::vector<ResultHandle>& parts) = 0;

  void end_one() noexcept;
  void end_all(std::vector<ResultHandle> parts);

  LocalTask task_;
  std::mutex mutex_;
  std::vector<ResultHandle> parts_;  // under the mutex once it has started; empty once all have ended
  bool may_have_run_ = true;         // some part of those; under the mutex, decided before they all went
  std::atomic<std::size_t> left_;    // parts that have not ended, and one for start()
};

inline ResultHandle Gather::start(const std::shared_ptr<Gather>& gather) {
  gather->task_.set_upstream(gather);
  ResultHandle result = gather->task_.take_future();
  try {
    for (const ResultHandle& part : gather->parts_) {
      if (part.word().is_final()) gather->end_one();
      else run_when_ended(part, std::make_unique<Part>(gather));
    }
  } catch (...) {
    gather->task_.cancel();  // else its note and this would keep each other; the caller is told
    throw;
  }
  gather->end_one();
  return result;
}

inline bool Gather::cancel(std::shared_ptr<Upstream>& further) {
  const std::lock_guard lock(mutex_);
  return parts_.empty() ? !may_have_run_ : cancel_together(parts_, std::identity(), further);
}

inline void Gather::kill(std::shared_ptr<Upstream>& further) {
  const std::lock_guard lock(mutex_);
  for (const ResultHandle& part : parts_) {
    if (further == nullptr) part.kill(further);
    else part.kill();
  }
}

inline void Gather::end_one() noexcept {
  // (1) acq_rel-rmw, pairs with (1): the last one comes after all others.
  if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  std::unique_lock lock(mutex_);
  std::vector<ResultHandle> parts = std::move(parts_);
  may_have_run_ = std::any_of(parts.begin(), parts.end(), std::mem_fn(&ResultHandle::may_have_run));
  lock.unlock();
  end_all(std::move(parts));
}

inline void Gather::end_all(std::vector<ResultHandle> parts) {
  try {
    for (ResultHandle& part : parts) {
      if (part.was_cancelled()) return task_.cancel_as(part, may_have_run_);
      if (!part.has_failed()) continue;
      part.mark_read();
      return task_.fail(failure_of(part, part.read()));
    }
    task_.succeed(collect(parts));
  } catch (...) {
    task_.fail(std::current_exception());
  }
}

}  // namespace procpool::detail
