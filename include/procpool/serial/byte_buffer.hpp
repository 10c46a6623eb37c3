// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Private memory that grows as values are encoded into it.

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

namespace procpool::detail {

/// Bytes one after another. Unlike std::vector it never writes what is about to be overwritten, and it keeps its memory
/// when it is cleared, so that a thread that encodes task after task allocates nothing in the steady state.
class ByteBuffer {
 public:
  [[nodiscard]] const std::byte* data() const noexcept { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Adds `count` bytes, which the caller fills in before anybody reads them. The pointer lasts until the next call.
  [[nodiscard]] std::byte* extend(std::size_t count);

  void append(const void* bytes, std::size_t count);
  void append_zeros(std::size_t count);

  /// Replaces `count` bytes from `position` on, which were added before.
  void overwrite(std::size_t position, const void* bytes, std::size_t count) noexcept {
    std::memcpy(bytes_.get() + position, bytes, count);
  }

  /// Drops what was added after the buffer had `size` bytes.
  void truncate(std::size_t size) noexcept { size_ = size; }

  /// Drops everything. Memory is kept, unless one unusual value has made it large.
  void clear() noexcept;

 private:
  static constexpr std::size_t smallest = 256;
  static constexpr std::size_t largest_kept = std::size_t{1} << 20;

  void grow(std::size_t count);

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

inline std::byte* ByteBuffer::extend(std::size_t count) {
  if (capacity_ - size_ < count) grow(count);
  std::byte* added = bytes_.get() + size_;
  size_ += count;
  return added;
}

inline void ByteBuffer::append(const void* bytes, std::size_t count) {
  if (count != 0) std::memcpy(extend(count), bytes, count);
}

inline void ByteBuffer::append_zeros(std::size_t count) {
  if (count != 0) std::memset(extend(count), 0, count);
}

inline void ByteBuffer::clear() noexcept {
  size_ = 0;
  if (capacity_ <= largest_kept) return;
  bytes_.reset();
  capacity_ = 0;
}

inline void ByteBuffer::grow(std::size_t count) {
  std::size_t capacity = capacity_ == 0 ? smallest : capacity_ * 2;
  if (capacity < size_ + count) capacity = size_ + count;
  std::unique_ptr<std::byte[]> larger(new std::byte[capacity]);
  if (size_ != 0) std::memcpy(larger.get(), bytes_.get(), size_);
  bytes_ = std::move(larger);
  capacity_ = capacity;
}

}  // namespace procpool::detail
