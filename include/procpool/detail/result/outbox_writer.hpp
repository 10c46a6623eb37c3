// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A worker's side of the outbox: hands out blocks of the extents of its life.
///
/// Shared by  nobody; it lies in the worker's private memory and writes to the extents that it owns.
/// Crash      a word in the worker's row names the block being filled; the supervisor gives it back for the dead.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include <procpool/detail/result/outbox.hpp>

namespace procpool::detail {

/// Names the block that a worker was given last: its extent, the value that the extent's count of blocks has with it,
/// and the item of a chunk that it is for.
struct FillingWord {
  static constexpr int count_bits = 20;  // enough to tell a counted block from one that is not
  static constexpr std::uint64_t count_mask = (std::uint64_t{1} << count_bits) - 1;

  std::uint64_t bits = 0;  // 0: none

  FillingWord() = default;
  explicit FillingWord(std::uint64_t raw) noexcept : bits(raw) {}
  FillingWord(std::size_t extent, std::uint64_t count, std::uint32_t item) noexcept
      : bits((std::uint64_t{extent} + 1) << (count_bits + 32) | (count & count_mask) << 32 | item) {}

  [[nodiscard]] bool names_a_block() const noexcept { return bits != 0; }
  [[nodiscard]] std::size_t extent() const noexcept { return static_cast<std::size_t>(bits >> (count_bits + 32)) - 1; }
  [[nodiscard]] std::uint64_t count() const noexcept { return bits >> 32 & count_mask; }
  [[nodiscard]] std::uint32_t item() const noexcept { return static_cast<std::uint32_t>(bits); }
};

class OutboxWriter {
 public:
  OutboxWriter(Outbox& outbox, Life life, std::atomic<std::uint64_t>& filling) noexcept
      : outbox_(outbox), life_(life), filling_(filling) {}

  static constexpr std::uint32_t no_item = 0xFFFFFFFF;  // the chunk itself, or a single task

  /// A block of `bytes` bytes, aligned to 64, for the `item`th of a chunk. Null: the shared memory has no room. Takes
  /// nothing of the worker's own memory, which may have no more to say that it has no more.
  [[nodiscard]] std::byte* allocate(std::size_t bytes, std::uint32_t item = no_item) noexcept;

  /// The parent can find the block handed out last.
  void published() noexcept {
    if (is_filling_) filling_.store(0, std::memory_order_relaxed);  // relaxed: read after this worker's death only
    is_filling_ = false;
  }

  /// Before this worker sleeps: lets go of extents whose results were all read, unless it has no more than one that
  /// would not be given back to the system.
  void leave_empty() noexcept {
    if (count_ == 0 || (count_ == 1 && current() < outbox_.first_above_kept())) return;
    for (std::size_t i = count_; i > 0; --i) leave_if_empty(i - 1);
  }

 private:
  static constexpr std::size_t alignment = 64;
  static constexpr std::size_t rewind_after = 4096;  // bytes; keeps a worker with few results open in its cache

  [[nodiscard]] std::span<std::uint16_t> extents() noexcept { return std::span(extents_).first(count_); }
  [[nodiscard]] std::size_t current() const noexcept { return extents_[count_ - 1]; }
  void leave_if_empty(std::size_t i) noexcept;
  [[nodiscard]] bool begin_extent(std::optional<std::size_t> index) noexcept;

  [[nodiscard]] std::byte* allocate_alone(std::size_t bytes, std::uint32_t item) noexcept;
  [[nodiscard]] bool has_room_for(std::size_t bytes) noexcept;
  [[nodiscard]] bool commit_behind_used(std::size_t bytes) noexcept {
    const std::size_t index = current();
    // relaxed: the owner's
    return outbox_.commit(index, outbox_.extent(index).used.load(std::memory_order_relaxed) + bytes);
  }
  [[nodiscard]] bool change_extent(std::size_t bytes) noexcept;
  [[nodiscard]] bool change_to_committed(std::size_t bytes) noexcept;
  void hand_out(std::size_t index, std::uint32_t item) noexcept;

  Outbox& outbox_;
  Life life_;
  std::atomic<std::uint64_t>& filling_;
  bool is_filling_ = false;
  std::array<std::uint16_t, Outbox::most_extents> extents_{};  // shared ones of this life; the last is being filled
  std::size_t count_ = 0;                                      // of extents_
  std::size_t rewinds_ = 0;
  static_assert(Outbox::most_extents <= std::size_t{std::numeric_limits<std::uint16_t>::max()} + 1);
};

inline std::byte* OutboxWriter::allocate(std::size_t bytes, std::uint32_t item) noexcept {
  bytes = (bytes + alignment - 1) / alignment * alignment;
  if (bytes > outbox_.extent_size() / 4) return allocate_alone(bytes, item);
  const bool has_room = has_room_for(bytes) || change_extent(bytes);
  if (!(has_room && commit_behind_used(bytes)) && !change_to_committed(bytes)) return nullptr;
  const std::size_t index = current();
  Extent& extent = outbox_.extent(index);
  const std::size_t used = extent.used.load(std::memory_order_relaxed);  // relaxed: the owner's, as all below
  // relaxed: before the count, as (2) says; whoever adopts the extent finds no counted block behind its end.
  extent.used.store(used + bytes, std::memory_order_relaxed);
  hand_out(index, item);
  return outbox_.address(index) + used;
}

inline bool OutboxWriter::has_room_for(std::size_t bytes) noexcept {
  if (count_ == 0) return false;
  Extent& extent = outbox_.extent(current());
  if (extent.used.load(std::memory_order_relaxed) >= rewind_after && extent.was_empty()) {  // relaxed: the owner's
    extent.used.store(0, std::memory_order_relaxed);                                        // relaxed: the same
    if (count_ > 1) leave_if_empty(rewinds_++ % (count_ - 1));
  }
  return extent.has_room(bytes, outbox_.extent_size());
}

inline void OutboxWriter::leave_if_empty(std::size_t i) noexcept {
  Extent& extent = outbox_.extent(extents_[i]);
  if (!extent.was_empty()) return;
  extent.free();
  std::copy(extents_.begin() + i + 1, extents_.begin() + count_, extents_.begin() + i);
  --count_;
}

/// Goes on in an extent of this life that has emptied, gives further empty ones back, or claims another with room for
/// `bytes` bytes.
inline bool OutboxWriter::change_extent(std::size_t bytes) noexcept {
  std::optional<std::size_t> next;
  const auto left = std::ranges::remove_if(extents(), [&](std::size_t index) {
    Extent& extent = outbox_.extent(index);
    if (!extent.was_empty()) return false;
    extent.used.store(0, std::memory_order_relaxed);  // relaxed: the owner's
    if (next) extent.free();
    else next = index;
    return true;
  });
  count_ -= left.size();
  return begin_extent(next ? next : outbox_.claim_shared(life_, bytes));
}

/// False if there is none. There cannot be too many, unless a wild write has made one be claimed twice.
inline bool OutboxWriter::begin_extent(std::optional<std::size_t> index) noexcept {
  if (!index || count_ == extents_.size()) return false;
  extents_[count_++] = static_cast<std::uint16_t>(*index);
  return true;
}

/// Where the system refuses memory, or no extent is left, goes on in one of this life that has room in what was
/// committed, or claims such a one.
inline bool OutboxWriter::change_to_committed(std::size_t bytes) noexcept {
  for (std::uint16_t& index : extents()) {
    Extent& extent = outbox_.extent(index);
    if (extent.was_empty()) extent.used.store(0, std::memory_order_relaxed);  // relaxed: the owner's
    if (!outbox_.has_committed_room(index, bytes)) continue;
    std::swap(index, extents_[count_ - 1]);
    return true;
  }
  // An orphan may have been cleared before it became one.
  return begin_extent(outbox_.claim_shared(life_, bytes, Pages::committed)) &&
         outbox_.has_committed_room(current(), bytes);
}

/// A large block gets a run of extents to itself, which the parent frees as soon as it has read it.
inline std::byte* OutboxWriter::allocate_alone(std::size_t bytes, std::uint32_t item) noexcept {
  std::optional<std::size_t> first = outbox_.claim(life_, bytes);
  if (!first) return nullptr;
  const std::size_t run = (bytes + outbox_.extent_size() - 1) / outbox_.extent_size();
  if (!outbox_.commit(*first, bytes)) {
    for (std::size_t i = run; i > 0; --i) outbox_.extent(*first + i - 1).free();
    first = outbox_.claim(life_, bytes, Pages::committed);
    if (!first) return nullptr;
  }
  hand_out(*first, item);
  // A death before the next store leaves extents of which each is taken back by itself.
  // (1) seq_cst-fence, pairs with (8) of supervisor.hpp: whoever has learnt of the death finds the stores in this
  // order, since a process ends between two instructions.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  // relaxed: read after a publish or the death, which orders it
  outbox_.extent(*first).run.store(static_cast<std::uint32_t>(run), std::memory_order_relaxed);
  return outbox_.address(*first);
}

inline void OutboxWriter::hand_out(std::size_t index, std::uint32_t item) noexcept {
  Extent& extent = outbox_.extent(index);
  // relaxed: only this worker writes the count while it lives; a publish or its death orders the rest.
  const std::uint64_t count = extent.allocated.load(std::memory_order_relaxed) + 1;
  // A death between the two stores leaves a word whose count is not the extent's: nothing was handed out. relaxed: read
  // after the death only.
  filling_.store(FillingWord(index, count, item).bits, std::memory_order_relaxed);
  // (2) seq_cst-fence, pairs with (8) of supervisor.hpp: in this order for that reader; see (1).
  std::atomic_signal_fence(std::memory_order_seq_cst);
  extent.allocated.store(count, std::memory_order_relaxed);  // relaxed: as above
  is_filling_ = true;
}

}  // namespace procpool::detail
