// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A block of shared memory that goes back to its allocator by itself, in the process that the allocator was made in.

#include <cstddef>
#include <utility>

#include <procpool/detail/memory/block_allocator.hpp>

namespace procpool::detail {

class SharedBlock {
 public:
  SharedBlock() noexcept = default;
  /// Allocates; is empty if there was no room.
  SharedBlock(BlockAllocator& allocator, std::size_t bytes)
      : allocator_(&allocator), data_(allocator.allocate(bytes)), size_(bytes) {}
  SharedBlock(SharedBlock&& other) noexcept
      : allocator_(other.allocator_), data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  SharedBlock& operator=(SharedBlock&& other) noexcept {
    std::swap(allocator_, other.allocator_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SharedBlock() {
    // Some other thread may have held the allocator's lock when this process was forked.
    if (data_ != nullptr && allocator_->home().is_here()) allocator_->release(data_, size_);
  }

  [[nodiscard]] explicit operator bool() const noexcept { return data_ != nullptr; }
  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// What it takes of that allocator's region.
  [[nodiscard]] std::size_t bytes_of(const BlockAllocator& allocator) const noexcept {
    return data_ != nullptr && allocator_ == &allocator ? BlockAllocator::taken_by(size_) : 0;
  }

 private:
  BlockAllocator* allocator_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace procpool::detail
