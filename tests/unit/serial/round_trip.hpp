// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Values that go through a block, as they do on their way to a worker.

#include <cstddef>
#include <new>
#include <span>
#include <vector>

#include <procpool/serial/decoder.hpp>
#include <procpool/serial/encoding.hpp>

namespace procpool::detail {

/// The bytes of an Encoding, at an address that is aligned to 64.
class Block {
 public:
  explicit Block(const Encoding& encoding) : Block(encoding.size()) { encoding.write_to(bytes_); }
  explicit Block(std::span<const std::byte> bytes) : Block(bytes.size()) {
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes_[i] = bytes[i];
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { ::operator delete(bytes_, std::align_val_t{64}); }

  [[nodiscard]] std::span<const std::byte> bytes() const { return {bytes_, size_}; }
  [[nodiscard]] std::byte& operator[](std::size_t at) { return bytes_[at]; }

 private:
  // Of the exact size, so that a sanitizer sees each byte that is touched behind it.
  explicit Block(std::size_t size)
      : bytes_(static_cast<std::byte*>(::operator new(size, std::align_val_t{64}))), size_(size) {}

  std::byte* bytes_;
  std::size_t size_;
};

/// What arrives of `value` when it is sent.
template <class T>
[[nodiscard]] T round_trip(const T& value) {
  Encoding encoding;
  encoding.add(value);
  const Block block(encoding);
  return decode_value<T>(block.bytes());
}

}  // namespace procpool::detail
