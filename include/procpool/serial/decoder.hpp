// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The receiving side: the values of a block, one after another.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include <cereal/cereal.hpp>

#include <procpool/error/pool_errors.hpp>
#include <procpool/serial/archive.hpp>
#include <procpool/serial/block_reader.hpp>
#include <procpool/serial/shape.hpp>

namespace procpool::detail {

/// How a value arrives that was sent as a `T`.
template <class T>
struct InPlace {
  using type = T;
};
template <class T, std::size_t Extent>
struct InPlace<std::span<T, Extent>> {
  using type = std::span<const T, Extent>;
};
template <class T, std::size_t Size>
struct InPlace<T[Size]> {
  using type = const T (&)[Size];
};

/// Reads what an Encoding wrote, in the same order. Trusts nothing in the block: what does not fit is
/// SerializationError. What a `load` of the user's throws passes through.
class Decoder {
 public:
  /// Reads `block` from `offset` on (a mark of the Encoding). The block outlives what is read in place. `kept` is what
  /// the values may name that come from a worker.
  explicit Decoder(std::span<const std::byte> block, std::size_t offset = 0, const KeptBlocks* kept = nullptr)
      : reader_(block, offset), kept_(kept) {}

  /// The next value, which was sent as a `T` (a sent_t). Views, text and C arrays are read in place, as
  /// std::span<const U>, std::string_view, const char* and const U(&)[N]; all others are returned by value.
  template <class T>
  [[nodiscard]] typename InPlace<T>::type next();

  /// The elements of the next value, in place, which was sent as a contiguous type: a view, text, vector or array.
  template <class T>
  [[nodiscard]] std::span<const item_t<T>> next_items();

  /// True if nothing is left.
  [[nodiscard]] bool finished() const noexcept { return reader_.remaining() == 0; }

  /// Bytes from the beginning of the block to the next value.
  [[nodiscard]] std::size_t offset() const noexcept { return reader_.offset(); }

  /// `items` as a `Span` of them, whose extent may be fixed: SerializationError if that is another.
  template <class Span>
  [[nodiscard]] Span spanning(std::span<const typename Span::value_type> items) const;

  /// Throws SerializationError unless nothing is left.
  void require_finished() const;

 private:
  template <class T>
  [[nodiscard]] T next_archived();
  template <class T>
  [[nodiscard]] T next_container();
  template <class Item>
  [[nodiscard]] std::span<const Item> items_in_place(std::size_t count);
  template <class Item>
  void read_terminator();

  BlockReader reader_;
  const KeptBlocks* kept_;
};

template <class T>
typename InPlace<T>::type Decoder::next() {
  constexpr Shape shape = shape_of<T>();
  if constexpr (shape == Shape::flat) {
    return load_flat<T>(reader_.take(sizeof(T)));
  } else if constexpr (shape == Shape::archived) {
    return next_archived<T>();
  } else if constexpr (std::is_array_v<T>) {
    return *reinterpret_cast<const T*>(next_items<T>().data());
  } else if constexpr (is_std_array<T>) {
    return load_flat<T>(reader_.take_run<item_t<T>>(std::tuple_size_v<T>));
  } else if constexpr (std::is_pointer_v<T>) {
    return next_items<T>().data();
  } else if constexpr (std::is_void_v<typename ViewOf<T>::item>) {
    return next_container<T>();
  } else if constexpr (RunOf<T>::is_text) {
    const auto items = next_items<T>();
    return T(items.data(), items.size());
  } else {
    return spanning<typename InPlace<T>::type>(next_items<T>());
  }
}

template <class T>
std::span<const item_t<T>> Decoder::next_items() {
  using Item = item_t<T>;
  if constexpr (shape_of<T>() == Shape::in_place) {
    return items_in_place<Item>(sizeof(T) / sizeof(Item));
  } else {
    if constexpr (std::is_pointer_v<T>) {
      std::uint64_t count = 0;
      std::memcpy(&count, BlockReader(reader_).take(sizeof count), sizeof count);
      if (count == null_text) {
        reader_.read(&count, sizeof count);
        return {};
      }
    }
    const auto items = items_in_place<Item>(reader_.read_size());
    if constexpr (RunOf<T>::is_text) read_terminator<Item>();
    return items;
  }
}

template <class Span>
Span Decoder::spanning(std::span<const typename Span::value_type> items) const {
  if (Span::extent != std::dynamic_extent && items.size() != Span::extent) {
    reader_.fail("before this as many elements as the std::span has");
  }
  return Span(items.data(), items.size());
}

inline void Decoder::require_finished() const {
  if (!finished()) reader_.fail("the end");
}

template <class T>
T Decoder::next_container() {
  using Item = item_t<T>;
  T container;
  const std::size_t count = reader_.read_size();
  assign_flat(container, reader_.take_run<Item>(count), count);
  if constexpr (RunOf<T>::is_text) read_terminator<Item>();
  return container;
}

template <class Item>
std::span<const Item> Decoder::items_in_place(std::size_t count) {
  const std::byte* bytes = reader_.take_run<Item>(count);
  if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(Item) != 0) reader_.fail("a block aligned to 64 bytes");
  const Item* first = reinterpret_cast<const Item*>(bytes);
  require_valid_bools(first, count);
  return {first, count};
}

template <class Item>
void Decoder::read_terminator() {
  if (load_flat<Item>(reader_.take(sizeof(Item))) != Item()) reader_.fail("the end of a text");
}

template <class T>
T Decoder::next_archived() {
  const std::size_t length = reader_.read_size();
  const std::size_t begin = reader_.offset();
  static_cast<void>(reader_.take(length));
  try {
    InputArchive archive(reader_.passed(), begin, kept_);
    return load_as<T>(archive);
  } catch (const cereal::Exception& error) {
    throw SerializationError(std::string("a value cannot be read: ") + error.what());
  }
}

/// The one value that `block` holds: a result, or that of an item of a map. `kept` is what its task was sent.
template <class T>
[[nodiscard]] T decode_value(std::span<const std::byte> block, const KeptBlocks* kept = nullptr) {
  Decoder decoder(block, 0, kept);
  if constexpr (std::is_move_constructible_v<T>) {
    T value = decoder.next<T>();
    decoder.require_finished();
    return value;
  } else {
    return decoder.next<T>();
  }
}

}  // namespace procpool::detail
