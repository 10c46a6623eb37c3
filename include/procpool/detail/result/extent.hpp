// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A piece of the outbox: the unit in which workers claim memory for results.
///
/// Shared by  one life of a worker, which fills it from front to back, and the parent, which counts what it has read.
///            An extent whose two counts are equal is empty and is filled from the front again.
/// Progress   wait-free.
/// Crash      it outlives its worker as an orphan until the last of its results is taken, or another life fills it on.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace procpool::detail {

/// A life of a worker: no two processes of a pool have the same. 0 is nobody.
using Life = std::uint32_t;

struct alignas(64) Extent {
  static constexpr Life orphaned = 0x80000000;  // with the life: its worker is dead, its results are not all taken

  // In place of a life.
  static constexpr Life being_cleared = 0x7FFFFFFF;  // the supervisor gives its pages back
  static constexpr Life given_up = 0x7FFFFFFE;       // a wild write has made it look so: nobody waits for it any more

  std::atomic<Life> owner{0};               // claimed by workers; freed by its worker, the parent or the supervisor
  std::atomic<std::uint32_t> run{0};        // 0: shared by small blocks; n: first of n that one large block takes
  std::atomic<std::uint64_t> allocated{0};  // blocks handed out; written by the owner, corrected by the supervisor
  std::atomic<std::size_t> committed{0};    // bytes from its start that may be touched; written by the owner
  std::atomic<std::size_t> used{0};         // bytes handed out since it was last empty; written by the owner
  alignas(64) std::atomic<std::uint64_t> freed{0};  // blocks given back; written by the parent

  /// True if every block was given back at some moment during the call. The owner of the extent may rely on it.
  [[nodiscard]] bool was_empty() const noexcept {
    // (1) seq_cst-load, pairs with (2): the parent has read the blocks that it counts.
    return freed.load(std::memory_order_seq_cst) == allocated.load(std::memory_order_seq_cst);  // its owner's own store
  }

  /// The parent has read a block. Afterwards it may be gone: an orphan whose last block this was becomes free.
  void give_back() noexcept {
    // (2) seq_cst-rmw, pairs with (1), (4): the block is read before it is filled again.
    freed.fetch_add(1, std::memory_order_seq_cst);
    free_if_empty_orphan();
  }

  /// The parent has read the large block of a run that `life` claimed, which may be dead.
  void give_back_from_run(Life life) noexcept {
    // (10) release-store, pairs with (1) of outbox.hpp: whoever adopts the extent fills it only when this has read it.
    run.store(0, std::memory_order_release);
    // (7) seq_cst-rmw, pairs with (4), (6): unless the supervisor orphans it meanwhile; then of the two one frees it.
    if (!owner.compare_exchange_strong(life, 0, std::memory_order_seq_cst)) free_if_empty_orphan();
  }

  /// The supervisor, once `life` is dead. Does nothing if the extent is not that life's, or not any more.
  void orphan(Life life) noexcept {
    // (4) seq_cst-rmw, pairs with (2), (5), (7), (8), (9): either give_back() sees an orphan, or this sees the extent
    // empty.
    if (owner.compare_exchange_strong(life, life | orphaned, std::memory_order_seq_cst)) free_if_empty_orphan();
  }

  /// Makes it claimable again. Only when empty, by the living worker that owns it, or who has cleared it.
  void free() noexcept {
    run.store(0, std::memory_order_relaxed);  // relaxed: published by the store below
    // (3) release-store, pairs with (6): nobody touches the extent any more.
    owner.store(0, std::memory_order_release);
  }

  /// Makes an orphan that has room for `bytes` more of `size` the extent of `life`, which goes on where the dead have
  /// ended: what is left of a life does not keep more memory than it needs from others.
  [[nodiscard]] bool adopt(Life life, std::size_t bytes, std::size_t size) noexcept {
    // (9) acquire-load, pairs with (4): what the dead have handed out. It stays until the exchange, if that succeeds:
    // a life dies once, so the mark is the same orphan's.
    Life seen = owner.load(std::memory_order_acquire);
    if ((seen & orphaned) == 0 || !has_room(bytes, size)) return false;
    // relaxed: ordered by (9); a failure touches nothing
    return owner.compare_exchange_strong(seen, life, std::memory_order_relaxed);
  }

  /// False of most extents that others have: a hint.
  [[nodiscard]] bool was_claimable() const noexcept {
    const Life seen = owner.load(std::memory_order_relaxed);  // relaxed: claim() and adopt() look again
    return seen == 0 || seen == being_cleared || (seen & orphaned) != 0;
  }

  /// True if it is of a life that has not been orphaned: a hint.
  [[nodiscard]] bool was_owned() const noexcept {
    const Life seen = owner.load(std::memory_order_relaxed);  // relaxed: a hint
    return seen != 0 && seen < given_up;
  }

  /// True if it will be free in a moment.
  [[nodiscard]] bool was_being_cleared() const noexcept {
    return owner.load(std::memory_order_relaxed) == being_cleared;  // relaxed: claim() looks again
  }

  /// It was so for much longer than it takes. If the supervisor was only stopped, it still makes it free.
  void give_up() noexcept {
    Life seen = being_cleared;
    // relaxed: whoever sees it touches nothing
    owner.compare_exchange_strong(seen, given_up, std::memory_order_relaxed);
  }

  /// For the owner; for others a hint.
  [[nodiscard]] bool has_room(std::size_t bytes, std::size_t size) const noexcept {
    const std::size_t now = used.load(std::memory_order_relaxed);  // relaxed: the owner's own, or a hint
    return now <= size && bytes <= size - now;
  }

  /// Claims it for `life`, or as `being_cleared`.
  [[nodiscard]] bool claim(Life life) noexcept {
    Life nobody = 0;
    // (6) acquire-rmw, pairs with (3), (5), (7): its former owner and the parent are done with it. relaxed: a failure
    // touches nothing.
    return owner.compare_exchange_strong(nobody, life, std::memory_order_acquire, std::memory_order_relaxed);
  }

 private:
  void free_if_empty_orphan() noexcept {
    // (8) seq_cst-load, pairs with (4): after the count, as the count is read after the mark; one of the two sees both.
    Life seen = owner.load(std::memory_order_seq_cst);
    if ((seen & orphaned) == 0 || !was_empty()) return;
    // (5) seq_cst-rmw, pairs with (4), (6): of two who see it empty one frees it. The life in the mark is for one of
    // them who comes late, when the extent is already the orphan of another. relaxed: a failure touches nothing.
    owner.compare_exchange_strong(seen, 0, std::memory_order_seq_cst, std::memory_order_relaxed);
  }
};

static_assert(sizeof(Extent) == 128, "the parent's count has a cache line of its own");

}  // namespace procpool::detail
