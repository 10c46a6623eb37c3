// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Hands out blocks of a region, with all bookkeeping in the private memory of the one process that allocates.
///
/// Progress  blocking among the threads of that process; no allocation of its own in the steady state.
/// Crash     nothing in shared memory describes the blocks, so nothing that dies elsewhere can harm them.

#include <bit>
#include <cstddef>
#include <iterator>
#include <map>
#include <mutex>
#include <vector>

#include <procpool/detail/memory/region.hpp>

namespace procpool::detail {

/// Small blocks come from power-of-two classes whose free lists are last-in-first-out, so that a block is reused warm;
/// large ones are the first fit among page runs, which merge when they come back.
class BlockAllocator {
 public:
  BlockAllocator(const SharedMapping& mapping, std::byte* begin, std::size_t size) noexcept
      : region_(mapping, begin, size) {}

  /// A block of at least `bytes` bytes, aligned to 64, committed; null if the region has no room or the system no
  /// memory.
  [[nodiscard]] std::byte* allocate(std::size_t bytes);

  /// Gives back what allocate(bytes) returned, with the same `bytes`.
  void release(std::byte* block, std::size_t bytes);

  [[nodiscard]] const Region& region() const noexcept { return region_; }

  /// Bytes of the blocks that have not come back, as large as they were made; at some moment during the call.
  [[nodiscard]] std::size_t was_in_use() const;

  /// Bytes that a block takes of the region.
  [[nodiscard]] static std::size_t taken_by(std::size_t bytes) noexcept {
    return bytes > largest_small ? whole_pages(bytes) : smallest << class_of(bytes);
  }

 private:
  static constexpr std::size_t smallest = 64;
  static constexpr std::size_t page = std::size_t{64} << 10;
  static constexpr std::size_t largest_small = page / 4;
  static constexpr std::size_t classes = 9;  // 64 bytes to 16 KiB
  static_assert(smallest << (classes - 1) == largest_small);

  static std::size_t class_of(std::size_t bytes) noexcept {
    return bytes <= smallest ? 0 : static_cast<std::size_t>(std::bit_width((bytes - 1) / smallest));
  }
  static std::size_t whole_pages(std::size_t bytes) noexcept { return (bytes + page - 1) / page * page; }

  std::byte* allocate_run(std::size_t bytes);
  void release_run(std::size_t offset, std::size_t bytes);
  bool refill(std::size_t size_class);

  mutable std::mutex mutex_;
  Region region_;
  std::size_t untouched_ = 0;                     // offset behind which no run was ever handed out
  std::map<std::size_t, std::size_t> free_runs_;  // offset → bytes, no two adjacent
  std::vector<std::byte*> free_blocks_[classes];
};

inline std::byte* BlockAllocator::allocate(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > largest_small) return allocate_run(whole_pages(bytes));
  const std::size_t size_class = class_of(bytes);
  std::vector<std::byte*>& free = free_blocks_[size_class];
  if (free.empty() && !refill(size_class)) return nullptr;
  std::byte* block = free.back();
  free.pop_back();
  return block;
}

inline void BlockAllocator::release(std::byte* block, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > largest_small) {
    release_run(static_cast<std::size_t>(block - region_.begin()), whole_pages(bytes));
  } else {
    free_blocks_[class_of(bytes)].push_back(block);
  }
}

inline std::size_t BlockAllocator::was_in_use() const {
  const std::lock_guard lock(mutex_);
  std::size_t in_use = untouched_;
  for (const auto& [offset, bytes] : free_runs_) in_use -= bytes;
  for (std::size_t each = 0; each < classes; ++each) in_use -= free_blocks_[each].size() * (smallest << each);
  return in_use;
}

inline bool BlockAllocator::refill(std::size_t size_class) {
  std::byte* run = allocate_run(page);
  if (run == nullptr) return false;
  const std::size_t block_size = smallest << size_class;
  for (std::size_t offset = page; offset > 0; offset -= block_size) {
    free_blocks_[size_class].push_back(run + offset - block_size);
  }
  return true;
}

inline std::byte* BlockAllocator::allocate_run(std::size_t bytes) {
  for (auto run = free_runs_.begin(); run != free_runs_.end(); ++run) {
    if (run->second < bytes) continue;
    const auto [offset, length] = *run;
    free_runs_.erase(run);
    if (length > bytes) free_runs_.emplace(offset + bytes, length - bytes);
    return region_.begin() + offset;
  }
  if (bytes > region_.size() - untouched_ || !region_.ensure(untouched_ + bytes)) return nullptr;
  std::byte* run = region_.begin() + untouched_;
  untouched_ += bytes;
  return run;
}

inline void BlockAllocator::release_run(std::size_t offset, std::size_t bytes) {
  auto next = free_runs_.lower_bound(offset);
  if (next != free_runs_.begin()) {
    if (const auto before = std::prev(next); before->first + before->second == offset) {
      offset = before->first;
      bytes += before->second;
      free_runs_.erase(before);
    }
  }
  if (next != free_runs_.end() && offset + bytes == next->first) {
    bytes += next->second;
    free_runs_.erase(next);
  }
  if (offset + bytes == untouched_) {
    untouched_ = offset;
  } else {
    free_runs_.emplace(offset, bytes);
  }
}

}  // namespace procpool::detail
