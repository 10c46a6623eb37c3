// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Blocks that were named to another process, and must not come back before that process is done with them.

#include <cstddef>
#include <iterator>
#include <map>
#include <memory>

#include <procpool/detail/memory/block_allocator.hpp>
#include <procpool/detail/memory/shared_block.hpp>

namespace procpool::detail {

/// In the private memory of the process that has made the blocks: whoever has it, keeps them.
class KeptBlocks {
 public:
  using Block = std::shared_ptr<const SharedBlock>;

  /// Once or often, it is kept once. Nothing happens if it is null.
  void add(const Block& block) {
    if (block) blocks_.emplace(block->data(), block);
  }
  void add(const KeptBlocks& others) { blocks_.insert(others.blocks_.begin(), others.blocks_.end()); }
  /// As add(), but takes no memory; `others` keeps at most what was kept here before.
  void take(KeptBlocks& others) noexcept { blocks_.merge(others.blocks_); }
  void clear() noexcept { blocks_.clear(); }
  [[nodiscard]] bool is_empty() const noexcept { return blocks_.empty(); }

  /// The one in which `bytes` bytes at `at` lie; null if there is none. For addresses that come from a worker: any may.
  [[nodiscard]] Block find(const std::byte* at, std::size_t bytes) const noexcept {
    auto found = blocks_.upper_bound(at);
    if (found == blocks_.begin()) return nullptr;
    const Block& block = (--found)->second;
    const auto offset = static_cast<std::size_t>(at - block->data());
    return offset <= block->size() && bytes <= block->size() - offset ? block : nullptr;
  }

  /// True if all of them lie in that allocator's region.
  [[nodiscard]] bool are_of(const BlockAllocator& allocator) const noexcept {
    for (const auto& [address, block] : blocks_) {
      if (block->bytes_of(allocator) == 0) return false;
    }
    return true;
  }

  /// What they take of that allocator's region; of those that others keep as well, a share.
  [[nodiscard]] double bytes_of(const BlockAllocator& allocator) const noexcept {
    double bytes = 0;
    for (const auto& [address, block] : blocks_) {
      bytes += static_cast<double>(block->bytes_of(allocator)) / static_cast<double>(block.use_count());
    }
    return bytes;
  }

 private:
  std::map<const std::byte*, Block> blocks_;  // by address
};

}  // namespace procpool::detail
