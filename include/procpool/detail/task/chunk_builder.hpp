// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The arguments of a chunk of a map: its items, where its callable lies, and where its results go.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/detail/task/flat_layout.hpp>
#include <procpool/detail/task/scratch_encoding.hpp>
#include <procpool/error/pool_errors.hpp>
#include <procpool/serial/flat.hpp>

namespace procpool::detail {

/// The beginning of a chunk's argument block. Written by the submitter, only read by workers. Behind it, at
/// `first_item`, the items: of one size each, or encoded one by one, with a table of their offsets between.
struct ChunkPrefix {
  std::uint64_t items = 0;
  std::uint64_t stride = 0;      // bytes from item to item; 0: see the table
  std::uint64_t first_item = 0;  // offset from here
  std::byte* results = nullptr;  // a ChunkHeader
  const std::byte* callable = nullptr;
  std::uint64_t callable_size = 0;
  std::uint64_t callable_id = 0;  // no two maps of a process have the same
};

/// True if items that consist of these values have one size and are copied by memcpy.
template <class... Sent>
inline constexpr bool items_are_flat = ((is_flat_value<Sent> && !std::is_array_v<Sent>)&&...);

/// Gathers the items of one chunk. Reused from chunk to chunk.
template <class... Sent>
class ChunkBuilder {
 public:
  using Layout = FlatLayout<Sent...>;
  static constexpr bool is_flat = items_are_flat<Sent...>;
  static constexpr std::size_t alignment = std::max({std::size_t{1}, alignof(Sent)...});
  // Above zero also for items of no values, those of a starmap over std::tuple<>.
  static constexpr std::size_t stride =
      std::max<std::size_t>(1, (Layout::size + alignment - 1) / alignment * alignment);

  /// Adds an item. `values` must live until write() if they are lvalues; others are encoded at once. What that throws
  /// leaves the items before it as they are.
  template <class... Values>
  void add(Values&&... values) {
    if constexpr (is_flat) {
      bytes_.resize(bytes_.size() + stride);
      Layout::write(bytes_.data() + bytes_.size() - stride, static_cast<const Sent&>(values)...);
    } else {
      const std::size_t offset = encoding_->mark();
      (add_value(std::forward<Values>(values)), ...);
      offsets_.push_back(offset);  // Last: the bytes of an item that failed half-way belong to none.
    }
    ++items_;
  }

  /// Refers to items that lie one behind the other and outlive write(). Instead of add().
  template <class Item>
  void refer_to(std::span<Item> items) noexcept {
    static_assert(sizeof(Item) == stride);
    contiguous_ = std::as_bytes(items);
    items_ = items.size();
  }

  [[nodiscard]] std::size_t items() const noexcept { return items_; }

  /// Bytes of the argument block.
  [[nodiscard]] std::size_t size() const noexcept {
    if constexpr (is_flat) return first_item() + items_ * stride;
    else return first_item() + encoding_->size();
  }

  /// What the items name.
  [[nodiscard]] const KeptBlocks& kept() const noexcept { return encoding_->kept(); }

  /// Writes all of it. `prefix` says what the builder does not know.
  void write(std::byte* block, ChunkPrefix prefix) const noexcept {
    prefix.items = items_;
    prefix.first_item = first_item();
    prefix.stride = is_flat ? stride : 0;
    std::memcpy(block, &prefix, sizeof prefix);
    if constexpr (is_flat) {
      const std::span<const std::byte> from = contiguous_.empty() ? std::span<const std::byte>(bytes_) : contiguous_;
      if (!from.empty()) std::memcpy(block + first_item(), from.data(), from.size());
    } else {
      std::memcpy(block + sizeof prefix, offsets_.data(), offsets_.size() * sizeof(std::uint64_t));
      encoding_->write_to(block + first_item());
    }
  }

  void clear() noexcept {
    items_ = 0;
    contiguous_ = {};
    bytes_.clear();
    offsets_.clear();
    encoding_->clear();
  }

 private:
  [[nodiscard]] std::size_t first_item() const noexcept {
    const std::size_t table = is_flat ? 0 : items_ * sizeof(std::uint64_t);
    return (sizeof(ChunkPrefix) + table + 63) / 64 * 64;
  }

  template <class T>
  void add_value(T&& value) {
    if constexpr (std::is_lvalue_reference_v<T>) encoding_->add(value);
    else encoding_->add_owned(std::move(value));
  }

  std::size_t items_ = 0;
  std::span<const std::byte> contiguous_;
  std::vector<std::byte> bytes_;
  std::vector<std::uint64_t> offsets_;
  ScratchEncoding encoding_;
};

}  // namespace procpool::detail
