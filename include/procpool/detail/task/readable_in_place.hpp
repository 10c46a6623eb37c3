// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Which results can be read where they lie in shared memory, and as what.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include <procpool/serial/crossing.hpp>
#include <procpool/serial/decoder.hpp>
#include <procpool/serial/shape.hpp>

namespace procpool::detail {

/// True for values whose encoding is one piece of plain bytes.
template <class T>
consteval bool is_one_piece() {
  if constexpr (std::is_void_v<T> || !CrossesBack<T>) return false;
  else return shape_of<T>() != Shape::archived;
}

/// True if a block of shared memory aligns it as it needs.
template <class T>
consteval bool is_aligned_in_block() {
  if constexpr (!is_one_piece<T>()) return true;
  else if constexpr (shape_of<T>() == Shape::run) return alignof(run_item_t<T>) <= block_alignment;
  else return alignof(T) <= block_alignment;
}

template <class T>
inline constexpr bool is_readable_in_place = is_one_piece<T>() && is_aligned_in_block<T>();

/// Does not compile unless a result of type `T` can be read in place. The compiler prints `T` with it.
template <class T>
consteval void require_readable_in_place() {
  static_assert(is_one_piece<T>(),
                "procpool: a result of this type is not one piece of plain bytes, so it cannot be borrowed. Take it "
                "with get(), or let the task return a std::string, or a std::vector, std::array or struct of "
                "trivially copyable values");
  static_assert(is_aligned_in_block<T>(),
                "procpool: a result of this type is aligned to more than the 64 bytes that shared memory gives, so it "
                "cannot be borrowed. Take it with get()");
}

/// What a borrowed `T` is read as: a view of its elements, or a pointer to it.
template <class T>
struct ReadInPlace {
  using type = const T*;
};
template <class T>
  requires(is_readable_in_place<T> && shape_of<T>() == Shape::run)
struct ReadInPlace<T> {
  using type = std::span<const run_item_t<T>>;
};
template <class C, class R, class A>
  requires is_readable_in_place<std::basic_string<C, R, A>>
struct ReadInPlace<std::basic_string<C, R, A>> {
  using type = std::basic_string_view<C, R>;
};
template <class T>
using read_in_place_t = typename ReadInPlace<T>::type;

/// Of a value that lies in this process's own memory.
template <class T>
[[nodiscard]] read_in_place_t<T> look_at(const T& value) noexcept {
  if constexpr (std::is_pointer_v<read_in_place_t<T>>) return &value;
  else return {value.data(), value.size()};
}

/// Of the one value that `block` holds. Trusts nothing in it: what does not fit is SerializationError.
template <class T>
[[nodiscard]] read_in_place_t<T> read_in_place(std::span<const std::byte> block) {
  if constexpr (shape_of<T>() == Shape::flat) {
    BlockReader reader(block);
    const std::byte* bytes = reader.take(sizeof(T));
    if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(T) != 0) reader.fail("a block aligned to 64 bytes");
    if (reader.remaining() != 0) reader.fail("the end");
    const T* value = reinterpret_cast<const T*>(bytes);
    require_valid_bools(*value);
    return value;
  } else {
    Decoder decoder(block);
    const auto items = decoder.next_items<T>();
    decoder.require_finished();
    if constexpr (shape_of<T>() == Shape::run) return {items.data(), items.size()};
    else return reinterpret_cast<const T*>(items.data());
  }
}

}  // namespace procpool::detail
