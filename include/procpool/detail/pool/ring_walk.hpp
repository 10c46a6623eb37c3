// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Moves the head of a ring over cells whose tasks were claimed, cancelled or taken.

#include <algorithm>
#include <cstddef>
#include <optional>

#include <procpool/detail/pool/pool_layout.hpp>
#include <procpool/detail/result/slot_table.hpp>
#include <procpool/detail/ring/ring.hpp>

namespace procpool::detail {

/// True if a task waits in the ring. Any thread of the publisher's process may walk at any time; a published cell whose
/// slot is not queued with its ticket is dead for ever, and so is one that a wild write has changed.
[[nodiscard]] inline bool walk_to_live_head(Ring& ring, const SlotTable& slots) noexcept {
  for (;;) {
    static_cast<void>(ring.mend_head());  // each time: from a ruined one the way could be endless
    const std::uint64_t position = ring.head();
    if (!ring.was_published(position)) return false;
    const std::optional<Cell> cell = ring.peek(position);
    if (cell && slots.contains(cell->handle())) {
      const StateWord word = slots[cell->handle()].load();
      if (word.phase() == Phase::queued && word.ticket() == cell->ticket()) return true;
    }
    ring.pass(position);
  }
}

/// Tasks in the rings; an upper bound, and zero only if there is none. The walk of each mends a head that a wild write
/// has ruined.
[[nodiscard]] inline std::size_t tasks_waiting(PoolLayout& layout, const SlotTable& slots) noexcept {
  std::size_t sum = 0;
  for (RingAndSpace& each : layout.rings()) {
    if (walk_to_live_head(each.ring, slots)) sum += std::max<std::size_t>(1, each.ring.was_size());
  }
  return sum;
}

}  // namespace procpool::detail
