// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Gives back what a dead worker had filled of the outbox and not yet shown to anybody.

#include <bit>
#include <cstdint>
#include <cstring>

#include <procpool/detail/pool/row.hpp>
#include <procpool/detail/result/outbox_writer.hpp>
#include <procpool/detail/result/task_note.hpp>
#include <procpool/detail/task/chunk_header.hpp>

namespace procpool::detail {

/// The dead worker may have linked the failure of an item that it did not finish, and may have counted it then.
inline void unlink_failure_of(std::uint64_t item, ChunkHeader& header, const Outbox& outbox) {
  // relaxed: the dead write nothing any more
  const auto* at = std::bit_cast<const std::byte*>(header.failures.load(std::memory_order_relaxed));
  FailureRecord record;
  if (!outbox.holds(at, sizeof record)) return;
  std::memcpy(&record, at, sizeof record);
  if (record.item < item) return;
  header.failures.store(record.next, std::memory_order_relaxed);   // relaxed: published with the slot's word
  header.failed.store(record.nth - 1, std::memory_order_relaxed);  // relaxed: as above
}

/// The block that the dead worker was filling for a task, or an item of a chunk, that it did not publish. Where the
/// block of the item is to stand nothing stands then: another try may leave none.
inline void give_back_unpublished(Outbox& outbox, Row& row, const TaskNote* note) {
  // relaxed: the dead write nothing any more
  const FillingWord filling(row.filling.exchange(0, std::memory_order_relaxed));
  if (!filling.names_a_block() || filling.extent() >= outbox.count()) return;
  if (note != nullptr && note->items > 0) {
    auto& header = *reinterpret_cast<ChunkHeader*>(note->results.data());
    const std::uint64_t finished = header.finished.load(std::memory_order_relaxed);  // relaxed: as above
    if (filling.item() < finished) return;
    unlink_failure_of(finished, header, outbox);
    if (note->has_item_blocks && finished < note->items) reinterpret_cast<ItemBlock*>(&header + 1)[finished] = {};
  }
  Extent& extent = outbox.extent(filling.extent());
  // relaxed: as above
  const bool counted = (extent.allocated.load(std::memory_order_relaxed) & FillingWord::count_mask) == filling.count();
  if (counted) outbox.give_back(outbox.address(filling.extent()));
}

}  // namespace procpool::detail
