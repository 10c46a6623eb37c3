// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Has the workers killed whose tasks are condemned or recalled.
///
/// Shared by  the supervisor's own; it writes wishes into the registers of lives, which the zygote grants.
/// Crash      it dies with the user's process only.

#include <atomic>
#include <optional>

#include <procpool/detail/pool/pool_layout.hpp>

namespace procpool::detail {

/// The row names what a worker has in hand; where a wild write has ruined it, what was told last of the worker does.
[[nodiscard]] inline bool is_condemned(Exchange& exchange, const PoolLayout& layout, WorkerIndex worker) {
  const auto dooms_worker = [&](Handle handle) {
    const StateWord word = exchange.slots[handle].load();
    return word.dooms_worker() && word.owner() == worker;
  };
  if (const std::optional<Handle> told = exchange.condemned.take(worker); told && dooms_worker(*told)) {
    exchange.condemned.put_back(worker, *told);
    return true;
  }
  // (1) acquire-load, pairs with (3) of worker.hpp: the slot that the row names is constructed and was filled.
  const Cell cell(layout.row(worker).current.load(std::memory_order_acquire));
  return cell.bits != 0 && exchange.slots.contains(cell.handle()) && dooms_worker(cell.handle());
}

/// Only the zygote may send the signal, for it alone knows that the life is not over and its pid not another's. True if
/// it is to be rung.
[[nodiscard]] inline bool wish_deaths_of_condemned(Exchange& exchange, const PoolLayout& layout) {
  bool has_wish = false;
  for (WorkerIndex worker = 0; worker < layout.workers(); ++worker) {
    if (!is_condemned(exchange, layout, worker)) continue;
    LifeRegister& lives = layout.lives(worker);
    // (2) acquire-load, pairs with (5) of zygote.hpp: this life has the task in hand, for this thread wishes the next
    // one only when it has buried it.
    const Life life = lives.born.load(std::memory_order_acquire);
    lives.condemned.store(life, std::memory_order_relaxed);  // relaxed: the bell orders it, and is repeated
    has_wish = true;
  }
  return has_wish;
}

}  // namespace procpool::detail
