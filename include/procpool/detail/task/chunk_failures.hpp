// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The list that a worker leaves of the items of a chunk that threw.

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <procpool/detail/result/outbox.hpp>
#include <procpool/detail/result/task_note.hpp>
#include <procpool/detail/task/chunk_header.hpp>

namespace procpool::detail {

/// Calls `visit(record, block)` for each failed item of a chunk, `block` being where the record was copied from. False
/// if the list is damaged: a record that does not lie in the outbox ends it, and so does one more than there are items;
/// or it holds fewer than have failed. Of a chunk that no worker has in hand any more, unless the pool is broken: then
/// it may hold more.
template <class Visit>
bool for_each_failure(const Outbox& outbox, const TaskNote& note, Visit visit) {
  const auto& header = *reinterpret_cast<const ChunkHeader*>(note.results.data());
  // (1) acquire-load, pairs with (3) of chunk_call.hpp: a worker that still runs a chunk of a broken pool has put as
  // many into the list.
  const std::uint64_t failed = header.failed.load(std::memory_order_acquire);
  // relaxed: published with the slot's word, which the caller has seen to be final
  std::uint64_t address = header.failures.load(std::memory_order_relaxed);
  std::size_t seen = 0;
  for (; address != 0 && seen < note.items; ++seen) {
    const auto* at = std::bit_cast<const std::byte*>(address);
    FailureRecord record;
    if (!outbox.holds(at, sizeof record)) return false;
    std::memcpy(&record, at, sizeof record);  // A copy stays as it was checked.
    if (!outbox.holds(at + sizeof record, record.size)) return false;
    visit(record, at);
    address = record.next;
  }
  return address == 0 && seen >= failed;
}

}  // namespace procpool::detail
