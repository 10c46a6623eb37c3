// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Runs a whole map from the calling thread: sends chunks as workers take them, collects them as they end.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <procpool/detail/pool/chunk_collector.hpp>
#include <procpool/detail/pool/chunker.hpp>
#include <procpool/detail/pool/progress_reports.hpp>
#include <procpool/detail/pool/result_room.hpp>
#include <procpool/detail/task/cancel_together.hpp>
#include <procpool/detail/task/wait_set.hpp>

namespace procpool::detail {

/// What was not collected is not wanted: the map was left early. In a process that was forked meanwhile they are not
/// there.
template <class Chunks>
void cancel_all(const Chunks& chunks) {
  const auto is_here = [](const SentChunk& chunk) {
    return !chunk.handle.valid() || chunk.handle.exchange().home.is_here();
  };
  if (!std::all_of(chunks.begin(), chunks.end(), is_here)) return;
  cancel_together(chunks, [](const SentChunk& chunk) -> const ResultHandle& { return chunk.handle; });
}

/// The chunks of a map that are under way, by keys that are used again.
class ChunksInFlight {
 public:
  explicit ChunksInFlight(CompletionHub& hub) noexcept : ended_(hub) {}
  ChunksInFlight(const ChunksInFlight&) = delete;
  ChunksInFlight& operator=(const ChunksInFlight&) = delete;
  ~ChunksInFlight() { cancel_all(chunks_); }

  void add(SentChunk chunk) {
    keep_or_cancel(chunk.handle, [&] {
      make_place();
      ended_.add(chunk.handle.handle(), free_.back());
    });
    chunks_[free_.back()] = std::move(chunk);
    free_.pop_back();
  }
  [[nodiscard]] std::size_t size() const noexcept { return ended_.size(); }

  /// The next chunk to end. Only while size() is above zero.
  [[nodiscard]] SentChunk next(std::chrono::nanoseconds spin) {
    const std::size_t key = *ended_.next(spin, std::nullopt);
    free_.push_back(key);
    return std::move(chunks_[key]);
  }

 private:
  void make_place() {
    if (!free_.empty()) return;
    free_.reserve(std::max(chunks_.size() + 1, chunks_.capacity()));  // next() takes no memory.
    chunks_.emplace_back();
    free_.push_back(chunks_.size() - 1);
  }

  std::vector<SentChunk> chunks_;
  std::vector<std::size_t> free_;
  WaitSet ended_;  // destroyed first: it forgets the handles before they go
};

/// Sends everything that `source` reads, and collects it into `sink`. Every item is finished when it returns.
inline void run_map(const Sender& terms, ChunkSource& source, ChunkSink& sink) {
  const std::size_t total = source.remaining();
  Chunker chunker(static_cast<int>(terms.core->workers()), terms.chunk_size);
  ProgressReports progress(terms, total);
  ResultRoom room(terms, source);
  ChunksInFlight in_flight(terms.core->exchange().hub);
  std::size_t collected = 0;  // items
  sink.expect(total);
  while (!source.is_done() || in_flight.size() > 0) {
    while (!source.is_done() && in_flight.size() < chunker.window(source.remaining())) {
      const std::size_t fitting = room.items_beside(in_flight.size(), source.position() - collected);
      if (in_flight.size() > 0 && fitting < std::max<std::size_t>(terms.chunk_size, 1)) break;
      const std::size_t size = std::min(chunker.next_size(source.remaining()), std::max(fitting, terms.chunk_size));
      std::optional<SentChunk> chunk = source.send(size, in_flight.size() == 0);
      if (!chunk) break;  // The queue or the memory is full: collect first.
      in_flight.add(std::move(*chunk));
    }
    SentChunk ended = in_flight.next(terms.core->exchange().spin.of_caller());
    const std::size_t items = ended.items;
    const ChunkCost cost = collect_chunk(std::move(ended), sink);
    chunker.record(items, cost.elapsed);
    room.record(items, cost.item_bytes, cost.own_bytes);
    collected += items;
    progress.add(items);
  }
  progress.finish();
}

}  // namespace procpool::detail
