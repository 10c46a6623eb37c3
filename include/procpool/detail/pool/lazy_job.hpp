// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A map that runs ahead of its consumer by a bounded number of items.

#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <procpool/detail/pool/map_job.hpp>
#include <procpool/detail/pool/map_sinks.hpp>
#include <procpool/detail/task/future_access.hpp>

namespace procpool::detail {

/// The chunks under way, of which the oldest is next.
class OldestFirst {
 public:
  explicit OldestFirst(CompletionHub&) noexcept {}
  OldestFirst(const OldestFirst&) = delete;
  OldestFirst& operator=(const OldestFirst&) = delete;
  ~OldestFirst() { cancel_all(chunks_); }

  void add(SentChunk chunk) {
    keep_or_cancel(chunk.handle, [&] { chunks_.push_back(std::move(chunk)); });
  }
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

/// `InFlight` is OldestFirst, or ChunksInFlight for the order in which chunks end. It may outlive the pool: what was
/// sent before is given, then PoolClosed is thrown.
template <class R, class InFlight>
class LazyJob {
 public:
  LazyJob(const Sender& terms, std::unique_ptr<ChunkSource> source)
      : exchange_(terms.core->exchange()), hold_(exchange_), source_(std::move(source)),
        chunk_size_(std::max<std::size_t>(terms.chunk_size, 1)), workers_(terms.core->workers()),
        read_ahead_(terms.read_ahead != 0 ? terms.read_ahead : four_chunks_each(workers_)),
        most_bytes_(terms.core->queue_bytes()), progress_(terms, source_->remaining()), room_(terms, *source_),
        in_flight_(exchange_.hub) {
    send_ahead();
  }

  /// The next outcome; empty at the end. Rethrows, after the items before it, what the range threw. If there is no
  /// memory for what has come, the next call looks again.
  [[nodiscard]] std::optional<Outcome<R>> next() {
    if (!exchange_.home.is_here()) throw_away_from_home("the results of a lazy map", exchange_.home);
    if (taken_ == collected_items_) {
      if (is_at_end()) send_ahead();
      if (is_at_end()) {
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
        progress_.finish();
        return std::nullopt;
      }
      if (!ended_) {
        ended_ = in_flight_.next(exchange_.spin.of_caller());
        bytes_ -= ended_->bytes;
      }
      collect_ended();
    }
    Outcome<R> outcome = collected_->take(taken_++);
    ++consumed_;
    progress_.add(1);
    send_ahead();
    return outcome;
  }

 private:
  [[nodiscard]] bool is_at_end() const noexcept { return !ended_ && in_flight_.size() == 0; }

  /// It is kept until all of it is here: if there is no memory for that, nothing is lost.
  void collect_ended() {
    const RawResult raw = ended_->handle.read();
    collected_.emplace(ended_->first);
    collected_->expect(ended_->items);
    const ChunkCost cost = read_chunk(*ended_, raw, *collected_);
    collected_items_ = ended_->items;
    taken_ = 0;
    ended_->handle.give_back(raw);
    ended_.reset();
    room_.record(collected_items_, cost.item_bytes, cost.own_bytes);
  }

  void send_ahead() {
    try {
      while (!is_exhausted_ && !(is_exhausted_ = source_->is_done())) {
        const std::size_t ahead = source_->position() - consumed_;
        if (ahead >= read_ahead_) return;
        const std::size_t size = std::min(chunk_size_, read_ahead_ - ahead);
        const std::size_t uncollected = ahead - (collected_items_ - taken_);
        if (in_flight_.size() > 0 && room_.items_beside(in_flight_.size(), uncollected) < size) return;
        // Of a pool that has ended the source's terms name nothing any more.
        if (const auto reason = exchange_.reason_of_break()) std::rethrow_exception(reason);
        // With something under way there is no need to wait for a place in the queue.
        auto chunk = source_->send(size, in_flight_.size() == 0, bytes_left());
        if (!chunk) return;
        bytes_ += chunk->bytes;
        in_flight_.add(std::move(*chunk));
      }
    } catch (...) {
      failure_ = std::current_exception();
      is_exhausted_ = true;
    }
  }

  /// For the next chunk, beside those under way. What has ended keeps its arguments until it is collected.
  [[nodiscard]] std::size_t bytes_left() const noexcept {
    if (in_flight_.size() < workers_) return std::numeric_limits<std::size_t>::max();
    return most_bytes_ - std::min(bytes_, most_bytes_);
  }

  /// Items; a chunk size that is meant to have no limit does not overflow.
  [[nodiscard]] std::size_t four_chunks_each(std::size_t workers) const noexcept {
    const std::size_t chunks = workers * 4;
    return std::min(chunk_size_, std::numeric_limits<std::size_t>::max() / chunks) * chunks;
  }

  Exchange& exchange_;
  Hold hold_;  // the pool and the futures may go before
  std::unique_ptr<ChunkSource> source_;
  std::size_t chunk_size_;
  std::size_t workers_;
  std::size_t read_ahead_;
  std::size_t most_bytes_;  // of arguments under way, beyond a chunk for each worker
  std::size_t bytes_ = 0;   // of arguments under way
  std::size_t consumed_ = 0;
  ProgressReports progress_;
  ResultRoom room_;
  InFlight in_flight_;
  std::optional<SentChunk> ended_;          // not yet collected
  std::optional<OutcomesOf<R>> collected_;  // of the chunk that ended last
  std::size_t collected_items_ = 0;
  std::size_t taken_ = 0;
  bool is_exhausted_ = false;
  std::exception_ptr failure_;
};

}  // namespace procpool::detail
