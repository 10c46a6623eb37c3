// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How many results of a map may wait in the shared memory for their collector.

#include <algorithm>
#include <cstddef>
#include <limits>

#include <procpool/detail/pool/chunk_source.hpp>

namespace procpool::detail {

/// A worker that finds no room for a result fails its task. So a map has no more under way than would fit if nobody
/// collected: it takes what comes next for as large as what came lately, the largest of it.
///
/// Reads no shared memory: whoever collects the chunks reports their sizes. For one thread at a time.
class ResultRoom {
 public:
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  /// Results may take `bytes` bytes. Until one was seen, `first_chunks` chunks may be under way.
  ResultRoom(std::size_t bytes, std::size_t first_chunks) noexcept : bytes_(bytes), first_chunks_(first_chunks) {}

  /// Of a map that may take half of the memory for results, if its results lie there; begun with a chunk for each
  /// worker.
  ResultRoom(const Sender& terms, const ChunkSource& source) noexcept
      : ResultRoom(terms.core->exchange().outbox.capacity() / 2,
                   source.needs_room_for_results() ? terms.core->workers() : unlimited) {}

  /// The results of a chunk of `items` took `item_bytes`, and that of the chunk itself `own_bytes`.
  void record(std::size_t items, std::size_t item_bytes, std::size_t own_bytes) noexcept {
    first_chunks_ = unlimited;
    item_bytes_ = std::max(item_bytes_ / 2, item_bytes / std::max<std::size_t>(items, 1));
    own_bytes_ = std::max(own_bytes_ / 2, own_bytes);
  }

  /// How many items the next chunk may hold beside `chunks` that are under way with `items` in all. At least one if
  /// there is none; 0: wait for one of them.
  [[nodiscard]] std::size_t items_beside(std::size_t chunks, std::size_t items) const noexcept {
    if (chunks >= first_chunks_) return 0;
    const double left = static_cast<double>(bytes_) -
                        static_cast<double>(chunks + 1) * static_cast<double>(own_bytes_) -
                        static_cast<double>(items) * static_cast<double>(item_bytes_);
    const std::size_t least = chunks == 0 ? 1 : 0;
    if (left <= 0) return least;
    if (item_bytes_ == 0) return unlimited;
    return std::max(static_cast<std::size_t>(left) / item_bytes_, least);
  }

 private:
  std::size_t bytes_;
  std::size_t first_chunks_;
  std::size_t item_bytes_ = 0;
  std::size_t own_bytes_ = 0;
};

}  // namespace procpool::detail
