// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Takes the results of a chunk that has ended, item by item.

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <exception>
#include <span>
#include <utility>

#include <procpool/detail/pool/chunk_source.hpp>
#include <procpool/detail/task/chunk_call.hpp>
#include <procpool/detail/task/result_codec.hpp>

namespace procpool::detail {

/// The items of a chunk that were finished, well or not, and where their results lie.
struct FinishedItems {
  std::size_t position;  // of the first, in the map
  std::size_t count;
  const std::byte* results;  // behind the ChunkHeader
  bool are_blocks;           // they are ItemBlocks
  const Exchange& exchange;
  const TaskNote& note;  // of the chunk
};

/// What becomes of the results of a map. For each chunk in turn: put(), put_chunk(), fail() for every item that has no
/// result, whatever was put for it; told twice of an item, the later failure is what counts.
class ChunkSink {
 public:
  /// `items` will come in all; Chunker::unknown if that is not known.
  virtual void expect(std::size_t items) { static_cast<void>(items); }
  virtual void put(const FinishedItems& items) = 0;
  /// The result of the chunk itself, of a reduction.
  virtual void put_chunk(const SentChunk& chunk, const RawResult& result) {
    static_cast<void>(chunk);
    static_cast<void>(result);
  }
  virtual void fail(std::size_t position, const std::exception_ptr& failure) = 0;

 protected:
  ~ChunkSink() = default;
};

[[nodiscard, gnu::cold]] inline std::exception_ptr damaged_item(const FinishedItems& items, std::size_t i) {
  return std::make_exception_ptr(damage("the result of ", name_of(&items.note, items.position + i), "is damaged"));
}

/// Calls `take(position, bytes)` for each encoded result that lies where results lie, and `sink.fail` for every other
/// item. What the item failed of is told later, and takes the place of that; if nothing is, a wild write has ruined
/// where the result or the failure lies.
template <class Take>
void for_each_block(const FinishedItems& items, ChunkSink& sink, Take take) {
  for (std::size_t i = 0; i < items.count; ++i) {
    ItemBlock block;
    std::memcpy(&block, items.results + i * sizeof block, sizeof block);  // A copy stays as it was checked.
    const auto* bytes = std::bit_cast<const std::byte*>(block.address);
    if (bytes != nullptr && items.exchange.outbox.holds(bytes, block.size)) {
      take(items.position + i, std::span(bytes, static_cast<std::size_t>(block.size)));
      continue;
    }
    sink.fail(items.position + i, damaged_item(items, i));
  }
}

/// Calls `take(position, value)` for each result that is there and can be decoded, and `sink.fail` for what cannot.
template <class R, class Take>
void for_each_result(const FinishedItems& items, ChunkSink& sink, Take take) {
  const auto take_read = [&](std::size_t position, auto read) {
    try {
      take(position, readable_value<R>(read, [&] { return name_of(&items.note, position); }));
    } catch (...) {
      sink.fail(position, std::current_exception());
    }
  };
  if constexpr (chunk_results_of<R> == ChunkResults::dense) {
    for (std::size_t i = 0; i < items.count; ++i) {
      take_read(items.position + i, [&] { return load_flat<R>(items.results + i * sizeof(R)); });
    }
  } else {
    for_each_block(items, sink, [&](std::size_t position, std::span<const std::byte> bytes) {
      take_read(position, [&] { return decode_value<R>(bytes, items.note.kept.get()); });
    });
  }
}

/// What a chunk has cost.
struct ChunkCost {
  std::chrono::nanoseconds elapsed;  // while its items ran
  std::size_t item_bytes;            // of the results of its items, in the memory for results
  std::size_t own_bytes;             // of its own result, there
};

[[nodiscard]] inline std::size_t bytes_of_blocks(const FinishedItems& items) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < items.count; ++i) {
    ItemBlock block;
    std::memcpy(&block, items.results + i * sizeof block, sizeof block);
    bytes += static_cast<std::size_t>(block.size);
  }
  return bytes;
}

/// Gives the chunk's results, of which `raw` is its own, to `sink`. If it throws, for want of memory, it may be called
/// again with another.
inline ChunkCost read_chunk(const SentChunk& chunk, const RawResult& raw, ChunkSink& sink) {
  const ResultHandle& handle = chunk.handle;
  Exchange& exchange = handle.exchange();
  const TaskNote& note = *exchange.slots.note(handle.handle());
  const auto& header = *reinterpret_cast<const ChunkHeader*>(note.results.data());
  // (1) acquire-load, pairs with (1) of chunk_call.hpp, (3) of repair.hpp: the items below it.
  const std::size_t told = header.finished.load(std::memory_order_acquire);
  // Else it may still write to what is read here, or has finished more items than there are.
  const bool is_left_by_worker = !handle.word().is_overdue() && told <= chunk.items;

  const std::size_t finished = is_left_by_worker ? told : 0;
  const FinishedItems items{chunk.first,          finished, note.results.data() + sizeof(ChunkHeader),
                            note.has_item_blocks, exchange, note};
  sink.put(items);
  sink.put_chunk(chunk, raw);
  const auto fail_by_record = [&](const FailureRecord& record, const std::byte* block) {
    if (record.item >= finished) return;
    const std::span<const std::byte> bytes(block + sizeof record, static_cast<std::size_t>(record.size));
    sink.fail(chunk.first + record.item, read_exception(bytes, &note, chunk.first + record.item));
  };
  if (is_left_by_worker && !for_each_failure(exchange.outbox, note, fail_by_record)) {
    // What looks like a value may be what lies where an item has none.
    const auto failure = std::make_exception_ptr(damage("the list of what failed of ", name_of(&note), "is damaged"));
    for (std::size_t i = 0; i < finished; ++i) sink.fail(chunk.first + i, failure);
    static_cast<void>(for_each_failure(exchange.outbox, note, fail_by_record));
  }
  for (const ItemLoss& loss : note.item_losses) sink.fail(chunk.first + loss.item, loss.reason);
  if (finished < chunk.items) {
    std::exception_ptr failure = failure_of(handle, raw);
    // relaxed: published with the slot's word
    if (!failure && note.is_unwanted.load(std::memory_order_relaxed))
      failure = std::make_exception_ptr(Cancelled("the item was cancelled before it ran"));
    if (!failure) failure = std::make_exception_ptr(damage("the results of ", name_of(&note), "are damaged"));
    for (std::size_t i = finished; i < chunk.items; ++i) sink.fail(chunk.first + i, failure);
  }
  // relaxed: published with the slot's word
  const std::chrono::nanoseconds elapsed(header.elapsed.load(std::memory_order_relaxed));
  return {elapsed, items.are_blocks ? bytes_of_blocks(items) : 0, raw.bytes.size()};
}

/// The same, and gives its slot and blocks back.
inline ChunkCost collect_chunk(SentChunk chunk, ChunkSink& sink) {
  const RawResult raw = chunk.handle.read();
  const GiveBack at_the_end(chunk.handle, raw);
  return read_chunk(chunk, raw, sink);
}

}  // namespace procpool::detail
