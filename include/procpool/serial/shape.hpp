// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How the values of an Encoding lie in its block.

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <procpool/serial/flat.hpp>
#include <procpool/serial/inspection.hpp>

namespace procpool::detail {

/// A block starts at an address that is aligned to 64. Values follow each other; padding belongs to the value behind
/// it.
///
///   flat      its bytes
///   in_place  padding to the alignment of the elements, its bytes
///   run       a count of 8 bytes, padding likewise, the elements, and behind text its terminator
///   archived  a length of 8 bytes, and as many bytes of an OutputArchive
enum class Shape { flat, in_place, run, archived };

/// The elements of types that are sent as a run; void for others.
template <class T>
struct RunOf {
  using item = typename ViewOf<T>::item;
  static constexpr bool is_text = false;
};
template <class C, class R>
struct RunOf<std::basic_string_view<C, R>> {
  using item = C;
  static constexpr bool is_text = true;
};
template <class C, class R, class A>
struct RunOf<std::basic_string<C, R, A>> {
  using item = C;
  static constexpr bool is_text = true;
};
template <class T>
  requires is_character<T>
struct RunOf<const T*> {
  using item = T;
  static constexpr bool is_text = true;
};
template <class T, class A>
  requires(is_flat_value<T> && !std::is_same_v<T, bool>)
struct RunOf<std::vector<T, A>> {
  using item = T;
  static constexpr bool is_text = false;
};

template <class T>
using run_item_t = typename RunOf<T>::item;

/// The count of a null `const char*`, which arrives as one.
inline constexpr std::uint64_t null_text = std::numeric_limits<std::uint64_t>::max();

/// For types that may cross as arguments, after sent_t.
template <class T>
consteval Shape shape_of() {
  if constexpr (!std::is_void_v<run_item_t<T>>) {
    return Shape::run;
  } else if constexpr (!is_flat<T>()) {
    return Shape::archived;
  } else if constexpr (std::is_array_v<T> || is_std_array<T>) {
    return Shape::in_place;
  } else {
    return Shape::flat;
  }
}

template <class T>
struct ItemOf {
  using type = run_item_t<T>;
};
template <class T>
  requires(shape_of<T>() == Shape::in_place && std::is_array_v<T>)
struct ItemOf<T> {
  using type = std::remove_cv_t<std::remove_all_extents_t<T>>;
};
template <class T>
  requires(shape_of<T>() == Shape::in_place && is_std_array<T>)
struct ItemOf<T> {
  using type = typename T::value_type;
};

/// The elements of types that lie contiguous in a block; void for others.
template <class T>
using item_t = typename ItemOf<T>::type;

}  // namespace procpool::detail
