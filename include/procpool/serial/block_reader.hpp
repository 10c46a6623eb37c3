// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Reads bytes of a block and never beyond its end.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>

#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

/// What blocks in shared memory are aligned to; nothing inside them can be aligned to more.
inline constexpr std::size_t block_alignment = 64;

/// The bytes before something of this alignment that would otherwise lie at `offset`.
[[nodiscard]] constexpr std::size_t padding_at(std::size_t offset, std::size_t alignment) noexcept {
  const std::size_t usable = alignment < block_alignment ? alignment : block_alignment;
  return (usable - offset % usable) % usable;
}

/// Trusts nothing that it reads: a length is checked against the bytes that are left before anybody uses it, and what
/// does not fit is SerializationError.
class BlockReader {
 public:
  /// Reads `block` from `offset` on. The block outlives the reader and what is taken from it.
  explicit BlockReader(std::span<const std::byte> block, std::size_t offset = 0);

  /// The next `count` bytes, in place.
  [[nodiscard]] const std::byte* take(std::size_t count);

  /// The next `count` elements of type `T`, in place; aligned for `T` if the block is aligned to 64 and T to no more.
  template <class T>
  [[nodiscard]] const std::byte* take_run(std::size_t count);

  /// Copies the next `count` bytes out.
  void read(void* bytes, std::size_t count);

  /// How many elements follow; never more than there are bytes left.
  [[nodiscard]] std::size_t read_size();

  [[nodiscard]] std::size_t remaining() const noexcept { return block_.size() - offset_; }

  /// Bytes from the beginning of the block to what is read next.
  [[nodiscard]] std::size_t offset() const noexcept { return offset_; }

  /// The part of the block that was read so far.
  [[nodiscard]] std::span<const std::byte> passed() const noexcept { return block_.first(offset_); }

  /// Throws SerializationError: `expected` is not what follows.
  [[noreturn]] void fail(const char* expected) const;

 private:
  [[noreturn]] void fail(const char* unit, std::size_t count) const;

  std::span<const std::byte> block_;
  std::size_t offset_;
};

inline BlockReader::BlockReader(std::span<const std::byte> block, std::size_t offset) : block_(block), offset_(0) {
  if (offset > block.size()) fail("bytes before a value", offset);
  offset_ = offset;
}

inline const std::byte* BlockReader::take(std::size_t count) {
  if (count > remaining()) fail("bytes", count);
  const std::byte* taken = block_.data() + offset_;
  offset_ += count;
  return taken;
}

template <class T>
const std::byte* BlockReader::take_run(std::size_t count) {
  const std::size_t padding = padding_at(offset_, alignof(T));
  if (padding > remaining() || count > (remaining() - padding) / sizeof(T)) {
    fail("aligned elements", count);
  }
  offset_ += padding;
  return take(count * sizeof(T));
}

inline void BlockReader::read(void* bytes, std::size_t count) {
  const std::byte* source = take(count);
  if (count != 0) std::memcpy(bytes, source, count);
}

inline std::size_t BlockReader::read_size() {
  std::uint64_t count = 0;
  read(&count, sizeof count);
  if (count > remaining()) fail("elements", count);
  return static_cast<std::size_t>(count);
}

// Without std::string, whose operators would cost every user a tenth of a second of compile time.
inline void BlockReader::fail(const char* expected) const {
  char message[256];
  std::snprintf(
      message, sizeof message,
      "the bytes of a value are damaged, cut off, or were written as another type: at offset %zu of %zu there "
      "should be %s",
      offset_, block_.size(), expected);
  throw SerializationError(message);
}

inline void BlockReader::fail(const char* unit, std::size_t count) const {
  char expected[64];
  std::snprintf(expected, sizeof expected, "%zu %s", count, unit);
  fail(expected);
}

}  // namespace procpool::detail
