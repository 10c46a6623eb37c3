// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A map whose chunks are all sent at once and collected on the dispatch thread.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <procpool/detail/pool/map_job.hpp>
#include <procpool/detail/task/local_task.hpp>
#include <procpool/detail/task/when_ended.hpp>
#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

/// The chunks of a map that are sent and not collected, for who no longer wants them.
class SentChunks final : public Upstream {
 public:
  /// Where it is, for take().
  std::size_t add(SentChunk chunk) {
    const std::lock_guard lock(mutex_);
    is_empty_ = false;
    keep_or_cancel(chunk.handle, [&] { chunks_.push_back(std::move(chunk)); });
    return chunks_.size() - 1;
  }
  [[nodiscard]] SentChunk take(std::size_t place) {
    const std::lock_guard lock(mutex_);
    has_begun_ |= chunks_[place].handle.may_have_run();
    return std::move(chunks_[place]);
  }
  /// Some chunk that was taken may have run.
  [[nodiscard]] bool has_begun() {
    const std::lock_guard lock(mutex_);
    return has_begun_;
  }
  /// All were taken, and no more come.
  void clear() {
    const std::lock_guard lock(mutex_);
    std::vector<SentChunk>().swap(chunks_);
  }

  bool cancel() {
    const std::lock_guard lock(mutex_);
    const bool never_ran =
        cancel_together(chunks_, [](const SentChunk& chunk) -> const ResultHandle& { return chunk.handle; });
    return never_ran && !has_begun_ && !is_empty_;
  }
  bool cancel(std::shared_ptr<Upstream>& /*further*/) override { return cancel(); }
  void kill(std::shared_ptr<Upstream>& /*further*/) override {
    const std::lock_guard lock(mutex_);
    for (auto chunk = chunks_.rbegin(); chunk != chunks_.rend(); ++chunk) {
      if (chunk->handle.valid()) chunk->handle.kill();
    }
  }

 private:
  std::mutex mutex_;
  std::vector<SentChunk> chunks_;
  bool has_begun_ = false;
  bool is_empty_ = true;  // nothing was sent: its value cannot be cancelled
};

/// Lives until its last chunk was collected; then it ends the task that the caller's future waits for.
class AsyncMapJob : public std::enable_shared_from_this<AsyncMapJob> {
 public:
  AsyncMapJob(const AsyncMapJob&) = delete;
  AsyncMapJob& operator=(const AsyncMapJob&) = delete;

  /// Sends everything; waits while the queue is full. The handle of the task that ends with the last item.
  [[nodiscard]] ResultHandle start(const Sender& terms, ChunkSource& source, ChunkSink& sink);

 protected:
  AsyncMapJob(const Sender& terms, std::size_t total)
      : exchange_(terms.core->exchange()), progress_(terms, total), task_(begin_local_task(exchange_)) {}
  ~AsyncMapJob() = default;

 private:
  class Collect final : public Continuation {
   public:
    Collect(std::shared_ptr<AsyncMapJob> job, std::size_t place) noexcept : job_(std::move(job)), place_(place) {}
    void run() noexcept override { job_->collect(job_->chunks_->take(place_)); }

   private:
    std::shared_ptr<AsyncMapJob> job_;
    std::size_t place_;
  };

  /// Runs once everything was sent. `sent` has ended: it brings this to the dispatch thread, where the job may end.
  class FinishSending final : public Continuation {
   public:
    FinishSending(std::shared_ptr<AsyncMapJob> job, ResultHandle sent) noexcept
        : job_(std::move(job)), sent_(std::move(sent)) {}
    [[nodiscard]] const ResultHandle& sent() const noexcept { return sent_; }
    void run() noexcept override { job_->finish_one(); }

   private:
    std::shared_ptr<AsyncMapJob> job_;
    ResultHandle sent_;
  };

  /// The value of the whole; throws the first failure of an item.
  [[nodiscard]] virtual std::shared_ptr<void> finish() = 0;

  void collect_when_ended(SentChunk chunk);
  void collect(SentChunk chunk) noexcept;
  void finish_sending();
  void finish_one() noexcept;
  void end_as_items();

  Exchange& exchange_;
  std::mutex progress_mutex_;
  ProgressReports progress_;  // under its mutex until the last chunk was collected, as the next one
  bool is_left_ = false;      // start() has thrown: the caller is told no more
  const std::shared_ptr<SentChunks> chunks_ = std::make_shared<SentChunks>();
  ResultHandle task_;
  Handle handle_ = 0;
  ChunkSink* sink_ = nullptr;
  std::exception_ptr failure_;        // the dispatch thread's alone until the end, as the next one
  bool was_cancelled_ = false;        // some chunk, or what was left of it
  std::atomic<std::size_t> left_{1};  // chunks not yet collected, and one for the sending
};

template <class Sink>
class AsyncMapInto final : public AsyncMapJob {
 public:
  AsyncMapInto(const Sender& terms, std::size_t total) : AsyncMapJob(terms, total) {}
  [[nodiscard]] ResultHandle start(const Sender& terms, ChunkSource& source) {
    return AsyncMapJob::start(terms, source, sink_);
  }

 private:
  std::shared_ptr<void> finish() override {
    using Value = decltype(sink_.finish());
    if constexpr (std::is_void_v<Value>) {
      sink_.finish();
      return nullptr;
    } else {
      return std::make_shared<Value>(sink_.finish());
    }
  }

  Sink sink_;
};

inline ResultHandle AsyncMapJob::start(const Sender& terms, ChunkSource& source, ChunkSink& sink) {
  ResultHandle result = std::move(task_);
  handle_ = result.handle();
  exchange_.slots.make_note(handle_).upstream = chunks_;
  sink_ = &sink;
  try {
    const std::size_t total = source.remaining();
    sink.expect(total);
    const std::size_t share =
        total == Chunker::unknown ? 1 : std::max<std::size_t>(1, total / (terms.core->workers() * 8));
    while (!source.is_done()) {
      SentChunk chunk = *source.send(terms.chunk_size != 0 ? terms.chunk_size : share, true);
      // relaxed: the dispatch thread counts down what was counted up before it could know of the chunk
      left_.fetch_add(1, std::memory_order_relaxed);
      collect_when_ended(std::move(chunk));
    }
    finish_sending();
  } catch (...) {
    cancel_local_task(exchange_, handle_, nullptr, false);  // The caller is told, and gets no future that could fail.
    {
      const std::lock_guard lock(progress_mutex_);  // What his callback refers to may go now.
      is_left_ = true;
    }
    chunks_->cancel();  // These end as well, and are no progress.
    throw;
  }
  return result;
}

/// Takes back the one that stands for the sending.
inline void AsyncMapJob::finish_sending() {
  LocalTask sent(exchange_);
  ResultHandle future = sent.take_future();
  sent.succeed(nullptr);
  auto finish = std::make_unique<FinishSending>(shared_from_this(), std::move(future));
  const ResultHandle& ended = finish->sent();
  run_when_ended(ended, std::move(finish));
}

inline void AsyncMapJob::collect_when_ended(SentChunk chunk) {
  const Handle handle = chunk.handle.handle();
  const std::size_t place = chunks_->add(std::move(chunk));
  std::unique_ptr<Continuation> collect = std::make_unique<Collect>(shared_from_this(), place);
  if (exchange_.dispatcher.after(handle, collect)) return;
  static_cast<void>(chunks_->take(place));
  throw PoolClosed("the pool is being destroyed; it takes no more tasks");
}

/// Of a chunk that has ended: nobody wanted the items that have no result.
inline bool was_left_unwanted(const SentChunk& chunk) {
  const TaskNote& note = *chunk.handle.note();
  const auto& header = *reinterpret_cast<const ChunkHeader*>(note.results.data());
  // relaxed: as collect_chunk() sees them
  return note.is_unwanted.load(std::memory_order_relaxed) &&
         header.finished.load(std::memory_order_relaxed) != chunk.items;
}

inline void AsyncMapJob::collect(SentChunk chunk) noexcept {
  const std::size_t items = chunk.items;
  was_cancelled_ |= chunk.handle.was_cancelled() || was_left_unwanted(chunk);
  try {
    collect_chunk(std::move(chunk), *sink_);
    const std::lock_guard lock(progress_mutex_);
    if (!is_left_) progress_.add(items);
  } catch (...) {  // No memory for the results, or the user's callback threw.
    if (!failure_) failure_ = std::current_exception();
  }
  finish_one();
}

inline void AsyncMapJob::finish_one() noexcept {
  // (1) acq_rel-rmw, pairs with (1): the last one sees what the others collected.
  if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  chunks_->clear();
  try {
    progress_.finish();
    if (failure_) std::rethrow_exception(failure_);
    end_as_items();
  } catch (...) {
    fail_local_task(exchange_, handle_, std::current_exception());
  }
}

/// An item that was cancelled has not failed. One that has itself thrown Cancelled, or what is derived from it, has:
/// that arrives as another type.
inline void AsyncMapJob::end_as_items() {
  try {
    end_local_task(exchange_, handle_, finish());
  } catch (const Cancelled& reason) {
    if (!was_cancelled_ || typeid(reason) != typeid(Cancelled)) throw;
    const bool has_begun = chunks_->has_begun();
    cancel_local_task(
        exchange_, handle_,
        has_begun ? "the map was cancelled before all its items had ended" : "the task was cancelled before it ran",
        has_begun);
  }
}

}  // namespace procpool::detail
