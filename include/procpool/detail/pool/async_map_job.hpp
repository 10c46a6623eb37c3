// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A map whose chunks are all sent at once and collected on the dispatch thread.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include <procpool/detail/pool/map_job.hpp>
#include <procpool/detail/task/local_task.hpp>

namespace procpool::detail {

/// Lives until its last chunk was collected; then it ends the task that the caller's future waits for.
template <class R, class Sink>
class AsyncMapJob : public std::enable_shared_from_this<AsyncMapJob<R, Sink>> {
 public:
  AsyncMapJob(const Sender& terms, std::size_t total)
      : exchange_(terms.core->exchange()), progress_(terms, total), task_(begin_local_task(exchange_)) {
    sink_.expect(total);
  }

  /// Sends everything; waits while the queue is full. The handle of the task that ends with the last item.
  template <class ThisSender>
  [[nodiscard]] ResultHandle start(const Sender& terms, ThisSender& sender) {
    ResultHandle result = std::move(task_);
    handle_ = result.handle();
    try {
      const std::size_t total = sender.reader().remaining();
      const std::size_t share = total == Chunker::unknown ? 1 : std::max<std::size_t>(1, total / (terms.core->workers() * 8));
      while (!sender.is_done()) {
        SentChunk chunk = *sender.send(terms.chunk_size != 0 ? terms.chunk_size : share, true);
        // relaxed: the dispatch thread counts down what was counted up before it could know of the chunk
        left_.fetch_add(1, std::memory_order_relaxed);
        collect_when_ended(std::move(chunk));
      }
    } catch (...) {
      fail_local_task(exchange_, handle_, std::current_exception());  // The range threw, or the pool was closed.
      throw;
    }
    finish_one();  // The one that stands for the sending.
    return result;
  }

 private:
  class Collect final : public Continuation {
   public:
    Collect(std::shared_ptr<AsyncMapJob> job, SentChunk chunk) noexcept
        : job_(std::move(job)), chunk_(std::move(chunk)) {}
    void run() noexcept override { job_->collect(std::move(chunk_)); }

   private:
    std::shared_ptr<AsyncMapJob> job_;
    SentChunk chunk_;
  };

  void collect_when_ended(SentChunk chunk) {
    const Handle handle = chunk.handle.handle();
    std::unique_ptr<Continuation> collect = std::make_unique<Collect>(this->shared_from_this(), std::move(chunk));
    if (exchange_.dispatcher.after(handle, collect)) return;
    throw PoolClosed("the pool is being destroyed; it takes no more tasks");
  }

  void collect(SentChunk chunk) noexcept {
    const std::size_t items = chunk.items;
    try {
      collect_chunk<R>(std::move(chunk), sink_);
      progress_.add(items);
    } catch (...) {  // No memory for the results, or the user's callback threw.
      if (!failure_) failure_ = std::current_exception();
    }
    finish_one();
  }

  void finish_one() noexcept {
    // (1) acq_rel-rmw, pairs with (1): the last one sees what the others collected.
    if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    try {
      progress_.finish();
      if (failure_) std::rethrow_exception(failure_);
      if constexpr (std::is_void_v<decltype(sink_.finish())>) {
        sink_.finish();
        end_local_task(exchange_, handle_, nullptr);
      } else {
        end_local_task(exchange_, handle_, std::make_shared<decltype(sink_.finish())>(sink_.finish()));
      }
    } catch (...) {
      fail_local_task(exchange_, handle_, std::current_exception());
    }
  }

  Exchange& exchange_;
  ProgressReports progress_;
  ResultHandle task_;
  Handle handle_ = 0;
  Sink sink_;
  std::exception_ptr failure_;          // the dispatch thread's alone until the end
  std::atomic<std::size_t> left_{1};    // chunks not yet collected, and one for the sending
};

}  // namespace procpool::detail
