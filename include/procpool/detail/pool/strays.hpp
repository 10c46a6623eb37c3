// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a row says of work that is left, and the tasks that nothing leads to any more, because a wild write has ruined
/// what did.
///
/// Shared by  whoever holds the lock of the repair, under which it is asked.
/// Crash      it changes nothing.

#include <algorithm>
#include <mutex>
#include <vector>

#include <procpool/detail/pool/pool_layout.hpp>

namespace procpool::detail {

/// True if the word says that worker `index` has the task in hand.
[[nodiscard]] inline bool is_in_hand_of(std::size_t index, StateWord word) noexcept {
  return word.owner() == index && word.is_in_hand();
}

/// True if the row of worker `index`, which names this cell, says that work is left. A worker that is stopped after its
/// task has ended, and before its row says so, holds nobody up. That of a dead one stays until it is known what becomes
/// of its task, and one that a wild write has ruined until the worker says more.
[[nodiscard]] inline bool names_open_task(PoolLayout& layout, const SlotTable& slots, std::size_t index, Cell cell) {
  if (cell.bits == 0 || !slots.contains(cell.handle())) return cell.bits != 0;
  const StateWord word = slots[cell.handle()].load();
  if (word.ticket() == cell.ticket() && (word.phase() == Phase::queued || word.is_in_hand())) return true;
  const LifeRegister& lives = layout.lives(index);
  // relaxed: the word of a task that was queued again is younger than the death; an old wish only says that work is
  // left, and a death and a burial since the row was read have moved the task, which the caller sees. Not `born`, which
  // is written when the worker may have run a task already.
  return lives.dead.load(std::memory_order_relaxed) >= lives.wanted.load(std::memory_order_relaxed);
}

class Strays {
 public:
  Strays(Exchange& exchange, PoolLayout& layout) noexcept : exchange_(exchange), layout_(layout) {}

  /// `waiting`: tasks without a worker that wait for space in a ring.
  [[nodiscard]] bool is_stray(Handle handle, StateWord word, const std::vector<Handle>& waiting);

  /// True of a stray that waited: only the head of its ring was ruined. If its own word was, then it says something
  /// that was never queued, or has kept the owner of a task that runs.
  [[nodiscard]] bool has_waited(Handle handle, StateWord word);

 private:
  [[nodiscard]] bool is_queued_nowhere(Handle handle, StateWord word);
  [[nodiscard]] bool is_run_by_nobody(Handle handle, StateWord word, const std::vector<Handle>& waiting) const;

  Exchange& exchange_;
  PoolLayout& layout_;
};

inline bool Strays::is_stray(Handle handle, StateWord word, const std::vector<Handle>& waiting) {
  if (exchange_.slots.is_local(handle)) {
    // Free is what the word says when the slot was given back since it was looked at; if a wild write has made it so,
    // whoever waits for the task sees it.
    return exchange_.slots.has_ended_locally(handle) && !word.is_over() && word.phase() != Phase::free;
  }
  if (word.phase() == Phase::queued) return is_queued_nowhere(handle, word);
  if (word.is_in_hand()) return is_run_by_nobody(handle, word, waiting);
  return word.phase() > Phase::lost && exchange_.slots.was_in_use(handle);
}

/// Under the submit lock no task is between its slot and its ring.
inline bool Strays::is_queued_nowhere(Handle handle, StateWord word) {
  const Cell cell(word.ticket(), handle);
  const auto is_led_to = [&] {
    if (!word.is_posted()) {
      return std::any_of(layout_.rings().begin(), layout_.rings().end(),
                         [&](const RingAndSpace& ring) { return ring.ring.leads_to(cell); });
    }
    for (std::size_t i = 0; i < layout_.workers() && cell.bits != 0; ++i) {  // An empty mailbox holds 0.
      // (4) acquire-load, pairs with (7) of worker.hpp: what was taken out is not Queued any more when its word is
      // looked at again.
      if (layout_.row(i).mailbox.load(std::memory_order_acquire) == cell.bits) return true;
    }
    return false;
  };
  if (is_led_to()) return false;
  const std::lock_guard lock(exchange_.submit_mutex);
  return exchange_.slots.was_in_use(handle) && exchange_.slots[handle].load().bits() == word.bits() && !is_led_to();
}

/// A cell that was never filled is 0, and so is the one that a ruined word of the first slot may ask for.
inline bool Strays::has_waited(Handle handle, StateWord word) {
  const Cell cell(word.ticket(), handle);
  if (word.phase() != Phase::queued || word.owner() != no_worker || cell.bits == 0) return false;
  return std::any_of(layout_.rings().begin(), layout_.rings().end(),
                     [&](const RingAndSpace& ring) { return ring.ring.holds(cell); });
}

/// A worker names in its row what it has claimed, until that has ended. One whose row was ruined may run it all the
/// same: then it has said neither that it looks for work nor that it sleeps, and has nothing else in hand.
inline bool Strays::is_run_by_nobody(Handle handle, StateWord word, const std::vector<Handle>& waiting) const {
  if (!exchange_.slots.was_in_use(handle)) return false;
  if (word.owner() == no_worker) return std::find(waiting.begin(), waiting.end(), handle) == waiting.end();
  if (word.owner() >= layout_.workers()) return true;
  // (5) acquire-load, pairs with (1) of worker.hpp, (3) of worker.hpp, (9) of worker.hpp: the task that the row names
  // no more has ended when its word is looked at again.
  const Cell current(layout_.row(word.owner()).current.load(std::memory_order_acquire));
  // A row that names nothing is 0, and so is the cell that a ruined word of the first slot may say.
  if (current.bits != 0 && current.bits == Cell(word.ticket(), handle).bits) return false;
  if (layout_.presence.was_idle(word.owner())) return true;
  return current.bits != 0 && current.handle() != handle && exchange_.slots.contains(current.handle()) &&
         is_in_hand_of(word.owner(), exchange_.slots[current.handle()].load());
}

}  // namespace procpool::detail
