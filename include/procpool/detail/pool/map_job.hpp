// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Runs a whole map from the calling thread: sends chunks as workers take them, collects them as they end.

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <procpool/detail/pool/chunk_collector.hpp>
#include <procpool/detail/pool/chunker.hpp>
#include <procpool/detail/pool/progress_reports.hpp>
#include <procpool/detail/task/wait_set.hpp>

namespace procpool::detail {

/// What was not collected is not wanted: the map was left early. In a process that was forked meanwhile they are not
/// there.
template <class Chunks>
void cancel_all(const Chunks& chunks) {
  for (const SentChunk& chunk : chunks) {
    if (chunk.handle.valid() && chunk.handle.exchange().home.is_here()) chunk.handle.cancel();
  }
}

/// The chunks of a map that are under way, by keys that are used again.
class ChunksInFlight {
 public:
  explicit ChunksInFlight(CompletionHub& hub) noexcept : ended_(hub) {}
  ChunksInFlight(const ChunksInFlight&) = delete;
  ChunksInFlight& operator=(const ChunksInFlight&) = delete;
  ~ChunksInFlight() { cancel_all(chunks_); }

  void add(SentChunk chunk) {
    if (free_.empty()) {
      free_.push_back(chunks_.size());
      chunks_.emplace_back();
    }
    const std::size_t key = free_.back();
    free_.pop_back();
    chunks_[key] = std::move(chunk);
    ended_.add(chunks_[key].handle.handle(), key);
  }
  [[nodiscard]] std::size_t size() const noexcept { return ended_.size(); }

  /// The next chunk to end. Only while size() is above zero.
  [[nodiscard]] SentChunk next(std::chrono::nanoseconds spin) {
    const std::size_t key = *ended_.next(spin, std::nullopt);
    free_.push_back(key);
    return std::move(chunks_[key]);
  }

 private:
  std::vector<SentChunk> chunks_;
  std::vector<std::size_t> free_;
  WaitSet ended_;  // destroyed first: it forgets the handles before they go
};

/// Sends everything that `source` reads, and collects it into `sink`. Every item is finished when it returns.
inline void run_map(const Sender& terms, ChunkSource& source, ChunkSink& sink) {
  const std::size_t total = source.remaining();
  Chunker chunker(static_cast<int>(terms.core->workers()), terms.chunk_size);
  ProgressReports progress(terms, total);
  ChunksInFlight in_flight(terms.core->exchange().hub);
  sink.expect(total);
  while (!source.is_done() || in_flight.size() > 0) {
    while (!source.is_done() && in_flight.size() < chunker.window(source.remaining())) {
      std::optional<SentChunk> chunk = source.send(chunker.next_size(source.remaining()), in_flight.size() == 0);
      if (!chunk) break;  // The queue or the memory is full: collect first.
      in_flight.add(std::move(*chunk));
    }
    SentChunk ended = in_flight.next(terms.core->exchange().spin);
    const std::size_t items = ended.items;
    chunker.record(items, collect_chunk(std::move(ended), sink));
    progress.add(items);
  }
  progress.finish();
}

}  // namespace procpool::detail
