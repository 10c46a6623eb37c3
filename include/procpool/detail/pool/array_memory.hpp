// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The memory of an array, which all workers map already.
///
/// Shared by  the user's process and all workers. Who may use it is known to the user's process alone.
/// Crash      nothing in it describes it, so a worker that dies harms no more than the elements that it wrote.

#include <concepts>
#include <cstddef>
#include <limits>
#include <memory>
#include <utility>

#include <procpool/detail/memory/shared_block.hpp>
#include <procpool/detail/pool/pool_core.hpp>

namespace procpool::detail {

/// Keeps the mapping of the pool, which may end before.
struct ArrayMemory {
  std::unique_ptr<Exchange, Release> exchange;
  SharedBlock block;
};

/// In another process than the one that made it its end does nothing.
struct DeleteArrayAtHome {
  void operator()(ArrayMemory* memory) const noexcept {
    if (memory->exchange->home.is_here()) delete memory;
  }
};

[[noreturn, gnu::cold]] inline void throw_no_array(std::size_t bytes, std::size_t all) {
  throw SharedMemoryExhausted(
      message({"a SharedArray needs ", bytes, " bytes; the memory for arrays holds ", all,
               " and is shared with those that are still held: let go of some, or raise PoolOptions::shared_memory if "
               "the system has it"}));
}

/// Throws UsageError if the pool is not of this process, SharedMemoryExhausted, PoolClosed, BrokenPool.
[[nodiscard]] inline std::shared_ptr<const SharedBlock> make_array_memory(PoolCore& core, std::size_t bytes) {
  core.require_home();
  Exchange& exchange = core.exchange();
  SharedBlock block;
  try {
    block = core.allocate(exchange.data, bytes, true);
  } catch (const SharedMemoryExhausted&) {
    throw_no_array(bytes, exchange.data.region().size());
  }
  // Asked when it is there: what a broken pool gives back, some worker may still write to.
  core.require_taking();
  core.supervisor().notice_work();  // No task follows, perhaps: what it sleeps over would never go back to the system.
  auto memory = std::make_unique<ArrayMemory>();
  exchange.retain();
  memory->exchange.reset(&exchange);
  memory->block = std::move(block);
  const std::shared_ptr<ArrayMemory> held(memory.release(), DeleteArrayAtHome());
  return {held, &held->block};
}

/// Bytes of `count` elements, or as many as no memory has. Throws UsageError for a negative count.
template <std::integral Count>
[[nodiscard]] std::size_t array_bytes(Count count, std::size_t element) {
  if (count < 0) throw UsageError("make_array() of a negative number of elements");
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  return static_cast<std::size_t>(count) > most / element ? most : static_cast<std::size_t>(count) * element;
}

}  // namespace procpool::detail
