// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a chunk of a map leaves behind, item by item.
///
/// Shared by  the worker that runs the chunk, and the user's process once the chunk is Done or its worker is dead; that
///            nobody wants the chunk, it says at any time.
/// Crash      `finished` moves after each result, so what was done before a death survives, and the supervisor knows
///            the item that the worker died on.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace procpool::detail {

/// The beginning of the parent's block for results. Behind it: the results themselves where they have one size and are
/// copied by memcpy, else an ItemBlock for each.
struct alignas(64) ChunkHeader {
  std::atomic<std::uint64_t> finished{0};  // items whose results are there; by the worker, by the supervisor at a death
  std::atomic<std::uint64_t> failures{0};  // address of the last FailureRecord, or 0; by the worker
  std::atomic<std::uint64_t> elapsed{0};   // nanoseconds spent on finished items; by the worker
  std::atomic<bool> is_unwanted{false};    // no further item is to begin; by the user's process
  // At most the records that `failures` leads to; by the worker, by the supervisor at a death. If there are fewer, a
  // wild write has cut the list, and what lies where an item has no value would pass for one.
  std::atomic<std::uint64_t> failed{0};
};

/// Where the encoded result of an item lies in the outbox; of a failed item, nowhere.
struct ItemBlock {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
};

/// An item that threw, in an outbox block; the encoded exception follows.
struct FailureRecord {
  std::uint64_t item = 0;
  std::uint64_t next = 0;  // the record made before, or 0
  std::uint64_t size = 0;  // of the exception, in bytes
  std::uint64_t nth = 0;   // of the chunk's, from 1
};

}  // namespace procpool::detail
