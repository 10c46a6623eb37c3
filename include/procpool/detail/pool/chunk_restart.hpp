// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What may be done with a chunk whose worker has died.

#include <atomic>

#include <procpool/detail/result/task_note.hpp>
#include <procpool/detail/task/chunk_header.hpp>

namespace procpool::detail {

/// No worker finishes more items than there are: a wild write says so, and of no item it is known whether it ran. Nor
/// is the chunk tried again: the next worker would find nothing left to run.
[[nodiscard]] inline bool has_ruined_count(const TaskNote& note) {
  if (note.items == 0) return false;  // no chunk
  const auto& header = *reinterpret_cast<const ChunkHeader*>(note.results.data());
  return header.finished.load(std::memory_order_relaxed) > note.items;  // relaxed: the dead write nothing any more
}

/// Without the result of the whole, the items of a chunk are worth nothing: they are run again, unless one has failed
/// for good. False: then the chunk is what it is.
[[nodiscard]] inline bool may_begin_anew(const TaskNote& note) {
  const auto& header = *reinterpret_cast<const ChunkHeader*>(note.results.data());
  return header.failures.load(std::memory_order_relaxed) == 0;  // relaxed: the dead write nothing any more
}
inline void begin_anew(const TaskNote& note) {
  auto& header = *reinterpret_cast<ChunkHeader*>(note.results.data());
  header.finished.store(0, std::memory_order_relaxed);  // relaxed: published with the slot's word
}

}  // namespace procpool::detail
