// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Moves the head of a ring over cells whose tasks were claimed, cancelled or taken.

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

}  // namespace procpool::detail
