// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Takes the results of a chunk that has ended, item by item.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <span>
#include <utility>

#include <procpool/detail/pool/chunk_sender.hpp>

namespace procpool::detail {

/// Calls on `sink`: `put_array(position, values, count)` for results that are copied by memcpy, `put(position, value)`
/// for others, `put_voids(position, count)` for those of a void function, `fail(position, exception)` for items without a result (perhaps after a put), and, if it
/// has that, `put_chunk(chunk, result)` for the result of the chunk itself. Gives the chunk's slot and
/// blocks back. Returns the time that its items took.
template <class R, class Sink>
std::chrono::nanoseconds collect_chunk(SentChunk chunk, Sink& sink) {
  ResultHandle& handle = chunk.handle;
  Exchange& exchange = handle.exchange();
  const TaskNote& note = *exchange.slots.note(handle.handle());
  const auto& header = *reinterpret_cast<const ChunkHeader*>(note.results.data());
  const std::byte* results = note.results.data() + sizeof(ChunkHeader);
  const RawResult raw = handle.read();
  const GiveBack at_the_end(handle, raw);

  const auto finished =
      std::min<std::size_t>(header.finished.load(std::memory_order_acquire), chunk.items);  // It may have been ruined.
  if constexpr (std::is_void_v<R>) {
    sink.put_voids(chunk.first, finished);
  } else if constexpr (chunk_results_of<R> == ChunkResults::dense) {
    sink.put_array(chunk.first, results, finished);
  } else if constexpr (chunk_results_of<R> == ChunkResults::blocks) {
    for (std::size_t i = 0; i < finished; ++i) {
      ItemBlock block;
      std::memcpy(&block, results + i * sizeof block, sizeof block);
      const auto* bytes = std::bit_cast<const std::byte*>(block.address);
      if (bytes == nullptr || !exchange.outbox.holds(bytes, block.size)) continue;  // It failed: see below.
      try {
        sink.put(chunk.first + i, decode_value<R>({bytes, static_cast<std::size_t>(block.size)}));
      } catch (...) {
        sink.fail(chunk.first + i, std::current_exception());
      }
    }
  }
  if constexpr (requires { sink.put_chunk(chunk, raw); }) sink.put_chunk(chunk, raw);
  exchange.for_each_failure(note, [&](const FailureRecord& record, const std::byte* block) {
    if (record.item >= finished) return;
    const std::span<const std::byte> bytes(block + sizeof record, static_cast<std::size_t>(record.size));
    sink.fail(chunk.first + record.item, read_exception(bytes, note.label));
  });
  for (const ItemLoss& loss : note.item_losses) sink.fail(chunk.first + loss.item, loss.reason);
  if (finished < chunk.items) {
    std::exception_ptr failure = failure_of(handle, raw);
    if (!failure) failure = std::make_exception_ptr(SerializationError("the results of a chunk of a map are damaged"));
    for (std::size_t i = finished; i < chunk.items; ++i) sink.fail(chunk.first + i, failure);
  }
  // relaxed: published with the slot's word
  return std::chrono::nanoseconds(header.elapsed.load(std::memory_order_relaxed));
}

}  // namespace procpool::detail
