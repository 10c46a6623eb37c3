// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Hands out blocks of a region, with all bookkeeping in the private memory of the one process that allocates.
///
/// Progress  blocking among the threads of that process; no allocation of its own in the steady state. What it takes to
///           give a block back was taken when the block was made.
/// Crash     nothing in shared memory describes the blocks, so nothing that dies elsewhere can harm them.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <iterator>
#include <mutex>
#include <vector>

#include <procpool/detail/memory/granted_memory.hpp>
#include <procpool/detail/memory/region.hpp>
#include <procpool/detail/os/process_identity.hpp>

namespace procpool::detail {

/// Small blocks come from power-of-two classes whose free lists are last-in-first-out, so that a block is reused warm;
/// large ones are the first fit among page runs, which merge when they come back.
class BlockAllocator {
 public:
  BlockAllocator(const SharedMapping& mapping, std::byte* begin, std::size_t size) noexcept
      : region_(mapping, begin, size), granted_(mapping, begin, size) {}

  /// A block of at least `bytes` bytes, aligned to 64, committed; null if the region has no room or the system no
  /// memory. Throws bad_alloc, and nothing has changed, if this process has no memory to know of another block.
  [[nodiscard]] std::byte* allocate(std::size_t bytes);

  /// Gives back what allocate(bytes) returned, with the same `bytes`. Takes no memory.
  void release(std::byte* block, std::size_t bytes) noexcept;

  /// Of memory that nobody uses: see GrantedMemory.
  void begin_round() noexcept {
    const std::lock_guard lock(mutex_);
    granted_.begin_round();
  }
  /// Gives back to the system what has long been unused, up to `most` bytes or a granule more. How many.
  std::size_t give_back_unused(std::size_t most) noexcept;
  /// Bytes that would be given back if they were long unused, at some moment during the call.
  [[nodiscard]] std::size_t was_above_kept() const {
    const std::lock_guard lock(mutex_);
    return granted_.above_kept();
  }

  [[nodiscard]] const Region& region() const noexcept { return region_; }
  [[nodiscard]] const HomeProcess& home() const noexcept { return home_; }

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

  struct Run {
    std::size_t offset;
    std::size_t bytes;
    [[nodiscard]] std::size_t end() const noexcept { return offset + bytes; }
  };

  std::byte* allocate_run(std::size_t bytes);
  void release_run(Run run) noexcept;
  bool refill(std::size_t size_class);
  template <class T>
  static void make_room(std::vector<T>& kept, std::size_t most) {
    if (kept.capacity() < most) kept.reserve(std::max(most, 2 * kept.capacity()));
  }

  const HomeProcess home_;
  mutable std::mutex mutex_;
  Region region_;
  GrantedMemory granted_;
  std::size_t untouched_ = 0;   // offset behind which no run was ever handed out
  std::size_t runs_out_ = 0;    // handed out and not back
  std::vector<Run> free_runs_;  // by offset, no two adjacent, and behind each one that is out; room for one for each
  std::size_t blocks_made_[classes] = {};
  std::vector<std::byte*> free_blocks_[classes];  // with room for all that were made
};

inline std::byte* BlockAllocator::allocate(std::size_t bytes) {
  if (bytes > region_.size()) return nullptr;  // Near the largest number the next whole page would be zero.
  const std::lock_guard lock(mutex_);
  if (bytes > largest_small) return allocate_run(whole_pages(bytes));
  const std::size_t size_class = class_of(bytes);
  std::vector<std::byte*>& free = free_blocks_[size_class];
  if (free.empty() && !refill(size_class)) return nullptr;
  std::byte* block = free.back();
  free.pop_back();
  return block;
}

inline void BlockAllocator::release(std::byte* block, std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  if (bytes > largest_small) {
    release_run({static_cast<std::size_t>(block - region_.begin()), whole_pages(bytes)});
  } else {
    free_blocks_[class_of(bytes)].push_back(block);
  }
}

inline std::size_t BlockAllocator::was_in_use() const {
  const std::lock_guard lock(mutex_);
  std::size_t in_use = untouched_;
  for (const Run& run : free_runs_) in_use -= run.bytes;
  for (std::size_t each = 0; each < classes; ++each) in_use -= free_blocks_[each].size() * (smallest << each);
  return in_use;
}

inline bool BlockAllocator::refill(std::size_t size_class) {
  const std::size_t block_size = smallest << size_class;
  make_room(free_blocks_[size_class], blocks_made_[size_class] + page / block_size);
  std::byte* run = allocate_run(page);
  if (run == nullptr) return false;
  blocks_made_[size_class] += page / block_size;
  for (std::size_t offset = page; offset > 0; offset -= block_size) {
    free_blocks_[size_class].push_back(run + offset - block_size);
  }
  return true;
}

inline std::byte* BlockAllocator::allocate_run(std::size_t bytes) {
  make_room(free_runs_, runs_out_ + 1);
  // Where the system refuses what it was given back, another run may have all that it needs.
  const auto fitting = std::find_if(free_runs_.begin(), free_runs_.end(), [&](const Run& run) {
    return run.bytes >= bytes && granted_.grant(run.offset, bytes);
  });
  const std::size_t offset = fitting != free_runs_.end() ? fitting->offset : untouched_;
  if (fitting == free_runs_.end()) {
    if (bytes > region_.size() - offset || !granted_.grant(offset, bytes)) return nullptr;
    untouched_ += bytes;
  } else {
    *fitting = {offset + bytes, fitting->bytes - bytes};
    if (fitting->bytes == 0) free_runs_.erase(fitting);
  }
  ++runs_out_;
  return region_.begin() + offset;
}

inline std::size_t BlockAllocator::give_back_unused(std::size_t most) noexcept {
  const std::lock_guard lock(mutex_);
  std::size_t given = granted_.give_back(untouched_, region_.size() - untouched_, most);
  for (const Run& run : free_runs_) {
    if (given < most) given += granted_.give_back(run.offset, run.bytes, most - given);
  }
  return given;
}

inline void BlockAllocator::release_run(Run run) noexcept {
  --runs_out_;
  granted_.leave(run.offset, run.bytes);
  auto next = std::lower_bound(free_runs_.begin(), free_runs_.end(), run.offset,
                               [](const Run& free, std::size_t offset) { return free.offset < offset; });
  if (next != free_runs_.begin() && std::prev(next)->end() == run.offset) {
    run = {std::prev(next)->offset, std::prev(next)->bytes + run.bytes};
    next = free_runs_.erase(std::prev(next));
  }
  if (next != free_runs_.end() && run.end() == next->offset) {
    run.bytes += next->bytes;
    next = free_runs_.erase(next);
  }
  if (run.end() == untouched_) untouched_ = run.offset;
  else free_runs_.insert(next, run);
}

}  // namespace procpool::detail
