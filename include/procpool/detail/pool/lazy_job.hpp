// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A map that runs ahead of its consumer by a bounded number of items.

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include <procpool/detail/pool/map_job.hpp>

namespace procpool::detail {

/// The outcomes of one chunk, in order of their positions.
template <class R>
class ChunkOutcomes {
 public:
  void start(const SentChunk& chunk) {
    first_ = chunk.first;
    next_ = 0;
    outcomes_.clear();
    outcomes_.resize(chunk.items);
  }
  [[nodiscard]] bool is_empty() const noexcept { return next_ == outcomes_.size(); }
  [[nodiscard]] Outcome<R> take() { return std::move(*outcomes_[next_++]); }

  void put_array(std::size_t position, const std::byte* values, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) put(position + i, load_flat<R>(values + i * sizeof(R)));
  }
  void put_voids(std::size_t position, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) place(position + i).emplace(Outcome<R>(position + i));
  }
  template <class V>
  void put(std::size_t position, V&& value) {
    place(position).emplace(Outcome<R>(std::forward<V>(value), position));
  }
  void fail(std::size_t position, const std::exception_ptr& failure) {
    place(position).emplace(Outcome<R>::failure(failure, position));
  }

 private:
  std::optional<Outcome<R>>& place(std::size_t position) { return outcomes_[position - first_]; }

  std::size_t first_ = 0;
  std::size_t next_ = 0;
  std::vector<std::optional<Outcome<R>>> outcomes_;
};

/// The chunks under way, of which the oldest is next.
class OldestFirst {
 public:
  explicit OldestFirst(CompletionHub&) noexcept {}
  OldestFirst(const OldestFirst&) = delete;
  OldestFirst& operator=(const OldestFirst&) = delete;
  ~OldestFirst() {
    for (const SentChunk& chunk : chunks_) chunk.handle.cancel();
  }

  void add(SentChunk chunk) { chunks_.push_back(std::move(chunk)); }
  [[nodiscard]] std::size_t size() const noexcept { return chunks_.size(); }
  [[nodiscard]] SentChunk next(std::chrono::nanoseconds) {
    SentChunk chunk = std::move(chunks_.front());
    chunks_.pop_front();
    chunk.handle.wait();
    return chunk;
  }

 private:
  std::deque<SentChunk> chunks_;
};

/// `InFlight` is OldestFirst, or ChunksInFlight for the order in which chunks end.
template <class R, class ThisSender, class InFlight>
class LazyJob {
 public:
  template <class F, class Reader>
  LazyJob(const Sender& terms, const F& function, Reader reader)
      : sender_(terms, function, std::move(reader)),
        spin_(terms.core->exchange().spin),
        chunk_size_(std::max<std::size_t>(terms.chunk_size, 1)),
        read_ahead_(terms.read_ahead != 0 ? terms.read_ahead : chunk_size_ * terms.core->workers() * 4),
        progress_(terms, sender_.reader().remaining()),
        in_flight_(terms.core->exchange().hub) {
    send_ahead();
  }

  /// The next outcome; empty at the end. Rethrows, after the items before it, what the range threw.
  [[nodiscard]] std::optional<Outcome<R>> next() {
    if (collected_.is_empty()) {
      if (in_flight_.size() == 0) send_ahead();
      if (in_flight_.size() == 0) {
        if (failure_of_range_) std::rethrow_exception(std::exchange(failure_of_range_, nullptr));
        progress_.finish();
        return std::nullopt;
      }
      SentChunk chunk = in_flight_.next(spin_);
      collected_.start(chunk);
      collect_chunk<R>(std::move(chunk), collected_);
    }
    Outcome<R> outcome = collected_.take();
    ++consumed_;
    progress_.add(1);
    send_ahead();
    return outcome;
  }

 private:
  void send_ahead() {
    try {
      while (!is_exhausted_ && !(is_exhausted_ = sender_.is_done())) {
        const std::size_t ahead = sender_.position() - consumed_;
        if (ahead >= read_ahead_) return;
        // With something under way there is no need to wait for a place in the queue.
        auto chunk = sender_.send(std::min(chunk_size_, read_ahead_ - ahead), in_flight_.size() == 0);
        if (!chunk) return;
        in_flight_.add(std::move(*chunk));
      }
    } catch (...) {
      failure_of_range_ = std::current_exception();
      is_exhausted_ = true;
    }
  }

  ThisSender sender_;
  std::chrono::nanoseconds spin_;
  std::size_t chunk_size_;
  std::size_t read_ahead_;
  std::size_t consumed_ = 0;
  ProgressReports progress_;
  InFlight in_flight_;
  ChunkOutcomes<R> collected_;
  bool is_exhausted_ = false;
  std::exception_ptr failure_of_range_;
};

}  // namespace procpool::detail
