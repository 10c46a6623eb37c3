// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The bytes of one execution of a fuzz target, read from front to back.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace fuzz {

/// Behind its end there are zeros, without end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) noexcept : bytes_(std::as_bytes(std::span(data, size))) {}

  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

  /// The next bytes as a number.
  template <class T = std::uint8_t>
  [[nodiscard]] T take() noexcept {
    T value{};
    const std::span<const std::byte> bytes = take_bytes(sizeof value);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

  /// A number below `bound`, from one byte.
  [[nodiscard]] std::size_t below(std::size_t bound) noexcept { return take() % bound; }

  /// At most that many.
  [[nodiscard]] std::span<const std::byte> take_bytes(std::size_t most) noexcept {
    const std::span<const std::byte> taken = bytes_.first(std::min(most, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }
  [[nodiscard]] std::span<const std::byte> take_rest() noexcept { return take_bytes(bytes_.size()); }

  /// Writes the next `most` bytes, as far as there are any, over `where`, as a wild pointer would.
  void write_over(void* where, std::size_t most) noexcept {
    const std::span<const std::byte> bytes = take_bytes(most);
    if (!bytes.empty()) std::memcpy(where, bytes.data(), bytes.size());
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace fuzz
