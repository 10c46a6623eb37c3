// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Shared memory for results that do not fit into a slot.
///
/// Shared by  workers, who claim extents, and the parent, who gives blocks back.
/// Progress   lock-free. Nobody ever waits for space: the reader may be waiting for another result.
/// Crash      the supervisor orphans the extents of a dead life; extent.hpp says how they come back.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <vector>

#include <procpool/detail/memory/granted_memory.hpp>
#include <procpool/detail/memory/shared_mapping.hpp>
#include <procpool/detail/os/page_size.hpp>
#include <procpool/detail/result/extent.hpp>

namespace procpool::detail {

/// Of which memory a claim is.
enum class Pages : std::uint8_t {
  any,
  committed,  // what the system has granted before: it refuses more
};

class Outbox {
 public:
  static constexpr std::size_t most_extents = 2047;
  static constexpr std::size_t smallest_extent = std::size_t{256} << 10;

  /// Bytes of bookkeeping that an outbox needs: its extents, and behind them how many there ever was memory for.
  static constexpr std::size_t table_size = (most_extents + 1) * sizeof(Extent);

  /// `table` is zeroed and committed; `begin` is reserved only. Made before the first fork, then constant.
  Outbox(const SharedMapping& mapping, std::byte* table, std::byte* begin, std::size_t size)
      : mapping_(&mapping), begin_(begin),
        extent_size_(std::max(smallest_extent, (size / most_extents + page_size() - 1) / page_size() * page_size())),
        count_(size / extent_size_), extents_(reinterpret_cast<Extent*>(table)),
        committed_end_(::new(static_cast<void*>(table + most_extents * sizeof(Extent))) std::atomic<std::size_t>{0}),
        used_in_(count_) {
    for (std::size_t i = 0; i < count_; ++i) ::new (static_cast<void*>(&extents_[i])) Extent;
  }

  [[nodiscard]] Extent& extent(std::size_t index) const noexcept { return extents_[index]; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t extent_size() const noexcept { return extent_size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return count_ * extent_size_; }
  [[nodiscard]] std::byte* address(std::size_t index) const noexcept { return begin_ + index * extent_size_; }

  /// True if `bytes` bytes at `at` lie in the outbox. For addresses read back from shared memory: any value may come.
  [[nodiscard]] bool holds(const void* at, std::size_t bytes) const noexcept {
    const auto offset = reinterpret_cast<std::uintptr_t>(at) - reinterpret_cast<std::uintptr_t>(begin_);
    return offset < capacity() && bytes <= capacity() - offset;
  }

  /// Claims neighbouring extents with room for `bytes` bytes for `life`: the index of the first. Pages::any: not yet
  /// committed.
  [[nodiscard]] std::optional<std::size_t> claim(Life life, std::size_t bytes, Pages pages = Pages::any) noexcept;

  /// An extent for `life` with room for `bytes` bytes behind what is used of it: a free one, or an orphan. Pages::any:
  /// not yet committed.
  [[nodiscard]] std::optional<std::size_t> claim_shared(Life life, std::size_t bytes,
                                                        Pages pages = Pages::any) noexcept;

  /// True if `bytes` bytes behind what is used of an extent, which the caller owns, need no commit.
  [[nodiscard]] bool has_committed_room(std::size_t index, std::size_t bytes) const noexcept {
    return extents_[index].has_room(bytes, room_of(index, Pages::committed));
  }

  /// Makes the first `bytes` bytes of the run that begins at `index` usable. False if the system has no memory.
  [[nodiscard]] bool commit(std::size_t index, std::size_t bytes) noexcept;

  /// The parent has read the block at `at`, which holds() has approved.
  void give_back(const std::byte* at) noexcept;

  /// The supervisor, after the death of `life`.
  void orphan(Life life) noexcept;

  // Memory that nobody uses, as GrantedMemory has it. In the user's process only.

  void begin_round() noexcept { round_.fetch_add(1, std::memory_order_relaxed); }  // relaxed: a hint for the next two

  /// Gives back to the system what has long been unused, until it is `most` bytes or more. How many. One caller at a
  /// time.
  std::size_t give_back_unused(std::size_t most) noexcept;

  /// Bytes that would be given back if they were long unused.
  [[nodiscard]] std::size_t was_above_kept() const noexcept;

  /// True if some worker keeps an extent in which no result has lain for long: it lets go of it before it sleeps.
  [[nodiscard]] bool is_kept_by_sleepers() const noexcept;
  /// The first extent that may be given back.
  [[nodiscard]] std::size_t first_above_kept() const noexcept { return extents_for(always_kept); }

 private:
  static constexpr std::size_t commit_step = std::size_t{128} << 10;

  [[nodiscard]] std::size_t extents_for(std::size_t bytes) const noexcept {
    return (bytes + extent_size_ - 1) / extent_size_;
  }
  /// As Extent::claim(), with room for `bytes` bytes in the extent.
  [[nodiscard]] bool claim_with_room(std::size_t index, Life life, std::size_t bytes, Pages pages) noexcept;
  /// True if no result has been taken out of it for long.
  [[nodiscard]] bool was_long_unused(std::size_t index) const noexcept {
    // relaxed: a hint
    return is_long_unused(used_in_[index].load(std::memory_order_relaxed), round_.load(std::memory_order_relaxed));
  }
  void mark_used(std::size_t index) noexcept {
    // relaxed: a hint
    used_in_[index].store(round_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  /// Behind the last extent of which anything was ever committed. A wild write may hide some, until others are.
  [[nodiscard]] std::size_t committed_end() const noexcept {
    return std::min(committed_end_->load(std::memory_order_relaxed), count_);  // relaxed: a hint
  }
  void will_be_committed(std::size_t index) noexcept {
    std::size_t end = committed_end_->load(std::memory_order_relaxed);  // relaxed: a hint, as in the next line
    while (end <= index && !committed_end_->compare_exchange_weak(end, index + 1, std::memory_order_relaxed)) {
    }
  }
  /// Bytes from the start of an extent that may be used.
  [[nodiscard]] std::size_t room_of(std::size_t index, Pages pages) const noexcept {
    if (pages == Pages::any) return extent_size_;
    return extents_[index].committed.load(std::memory_order_relaxed);  // relaxed: the owner's, or a hint
  }
  [[nodiscard]] std::size_t run_length(std::size_t index) const noexcept {
    const std::size_t run = extents_[index].run.load(std::memory_order_relaxed);  // relaxed: published with the result
    return std::min(std::max<std::size_t>(run, 1), count_ - index);               // It may have been ruined.
  }

  const SharedMapping* mapping_;
  std::byte* begin_;
  std::size_t extent_size_;
  std::size_t count_;
  Extent* extents_;
  std::atomic<std::size_t>* committed_end_;  // in the table; raised by workers
  std::atomic<std::uint32_t> round_{1};
  std::vector<std::atomic<std::uint32_t>> used_in_;  // the round in which a block of the extent was given back last
};

/// What is just being cleared is waited for: else a claim could fail though nobody uses what it needs. The supervisor,
/// who clears it, waits for nobody; the bound is for what a wild write has made look so, and then costs its time once.
inline bool Outbox::claim_with_room(std::size_t index, Life life, std::size_t bytes, Pages pages) noexcept {
  constexpr int most_looks = 10'000;
  if (room_of(index, pages) < bytes) return false;
  Extent& extent = extents_[index];
  for (int looks = 0; !extent.claim(life); ++looks) {
    if (looks >= most_looks) extent.give_up();
    if (!extent.was_being_cleared()) return false;
    ::usleep(100);
  }
  if (room_of(index, pages) >= bytes) return true;
  extent.free();  // It was cleared meanwhile.
  return false;
}

/// What does not suffice for its part of a run would not for an earlier part, so that a run begins behind it.
inline std::optional<std::size_t> Outbox::claim(Life life, std::size_t bytes, Pages pages) noexcept {
  const std::size_t wanted = extents_for(bytes);
  std::size_t first = 0;
  for (std::size_t index = 0; first + wanted <= count_; ++index) {
    const std::size_t needed = std::min(extent_size_, bytes - (index - first) * extent_size_);
    if (!claim_with_room(index, life, needed, pages)) {
      while (first < index) extents_[first++].free();
      ++first;
    } else if (index + 1 - first == wanted) {
      return first;
    }
  }
  return std::nullopt;
}

/// The first that will do: an orphan in front is filled before memory is touched that never was.
inline std::optional<std::size_t> Outbox::claim_shared(Life life, std::size_t bytes, Pages pages) noexcept {
  for (std::size_t index = 0; index < count_; ++index) {
    Extent& extent = extents_[index];
    const std::size_t room = room_of(index, pages);
    if (!extent.was_claimable() || room < bytes) continue;
    if (claim_with_room(index, life, bytes, pages)) {
      extent.used.store(0, std::memory_order_relaxed);  // relaxed: the owner's
      return index;
    }
    if (extent.adopt(life, bytes, room)) return index;
  }
  return std::nullopt;
}

inline bool Outbox::commit(std::size_t index, std::size_t bytes) noexcept {
  for (; bytes > 0; ++index) {
    std::atomic<std::size_t>& committed = extents_[index].committed;
    const std::size_t needed = std::min(bytes, extent_size_);
    const std::size_t now = committed.load(std::memory_order_relaxed);  // relaxed: the owner alone raises it
    if (now < needed) {
      const std::size_t wanted = std::min(extent_size_, (needed + commit_step - 1) / commit_step * commit_step);
      will_be_committed(index);
      if (!mapping_->commit(address(index) + now, wanted - now)) return false;
      committed.store(wanted, std::memory_order_relaxed);  // relaxed: as above; the next owner comes after a claim
    }
    bytes -= needed;
  }
  return true;
}

inline void Outbox::give_back(const std::byte* at) noexcept {
  const std::size_t index = static_cast<std::size_t>(at - begin_) / extent_size_;
  mark_used(index);
  if (extents_[index].run.load(std::memory_order_relaxed) == 0) {  // relaxed: published with the result
    extents_[index].give_back();
    return;
  }
  const Life life = extents_[index].owner.load(std::memory_order_relaxed);  // relaxed: unchanged while `run` is set
  extents_[index].freed.fetch_add(1, std::memory_order_relaxed);            // relaxed: published with the owner
  for (std::size_t run = run_length(index); run > 0; --run) {
    mark_used(index + run - 1);
    extents_[index + run - 1].give_back_from_run(life);
  }
}

inline void Outbox::orphan(Life life) noexcept {
  for (std::size_t index = 0; index < count_; ++index) {
    // relaxed: the dead write nothing any more, and their end was seen through the zygote.
    if (extents_[index].owner.load(std::memory_order_relaxed) != life) continue;
    // (1) acquire-load, pairs with (10) of extent.hpp: a large block that lay here was read.
    if (extents_[index].run.load(std::memory_order_acquire) == 0) {
      extents_[index].orphan(life);
    } else {
      index += run_length(index) - 1;  // A large block was handed out: give_back() frees the run.
    }
  }
}

inline std::size_t Outbox::give_back_unused(std::size_t most) noexcept {
  std::size_t given = 0;
  for (std::size_t index = first_above_kept(); index < committed_end() && given < most; ++index) {
    Extent& extent = extents_[index];
    if (room_of(index, Pages::committed) == 0 || !was_long_unused(index)) continue;
    if (!extent.claim(Extent::being_cleared)) continue;
    if (mapping_->give_back(address(index), extent_size_)) {
      extent.committed.store(0, std::memory_order_relaxed);  // relaxed: the owner's
      given += extent_size_;
    } else {
      mark_used(index);
    }
    extent.free();
  }
  return given;
}

inline std::size_t Outbox::was_above_kept() const noexcept {
  std::size_t bytes = 0;
  for (std::size_t index = first_above_kept(); index < committed_end(); ++index) {
    bytes += std::min(extent_size_, room_of(index, Pages::committed));
  }
  return bytes;
}

inline bool Outbox::is_kept_by_sleepers() const noexcept {
  for (std::size_t index = first_above_kept(); index < committed_end(); ++index) {
    const Extent& extent = extents_[index];
    if (extent.was_owned() && extent.was_empty() && was_long_unused(index)) return true;
  }
  return false;
}

}  // namespace procpool::detail
