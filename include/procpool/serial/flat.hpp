// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Flat values: those that cross as a copy of their bytes.

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#include <procpool/error/pool_errors.hpp>
#include <procpool/serial/members.hpp>
#include <procpool/serial/pointer_free.hpp>
#include <procpool/serial/standard_containers.hpp>
#include <procpool/serial/standard_pointers.hpp>
#include <procpool/serial/standard_type.hpp>
#include <procpool/serial/standard_wrappers.hpp>
#include <procpool/serial/type_kind.hpp>

namespace procpool {

/// Specialized to true, it promises that the bytes of a `T` mean the same in another process: that it holds no pointer,
/// reference or view. Needed only for trivially copyable types that the library cannot look into and that the compiler
/// cannot prove free of pointers either: a struct with a union in it, say, or a handle to memory that all processes
/// share.
template <class T>
inline constexpr bool is_plain_data = false;

}  // namespace procpool

namespace procpool::detail {

/// True for structs whose members can be listed: aggregates without a base class, whose members all have a default
/// value.
template <class T>
consteval bool is_transparent() {
  if constexpr (!std::is_aggregate_v<T> || std::is_union_v<T> || std::is_array_v<T> || !requires { T{}; }) {
    return false;
  } else if constexpr (has_base_class<T>) {
    return false;
  } else {
    return member_count<T>() <= most_members;
  }
}

/// True for classes with private members and without a constexpr constructor: nothing can be known of what they hold,
/// and they are taken at their word, which is that they may be copied byte by byte.
template <class T>
inline constexpr bool is_impenetrable = !std::is_aggregate_v<T> && !std::is_union_v<T> && !__is_literal_type(T);

template <class... Members>
consteval bool are_flat(TypeList<Members...>) {
  return (is_flat<std::remove_cv_t<Members>>() && ...);
}

template <class T>
inline constexpr bool is_std_array = false;
template <class T, std::size_t Size>
inline constexpr bool is_std_array<std::array<T, Size>> = true;

/// Trivially copyable is necessary, not sufficient: members are looked at, because a pointer means nothing in another
/// process and a std::optional or std::variant must be checked when it arrives; and a `serialize` of the user's comes
/// first.
template <class T>
consteval bool is_flat() {
  if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_null_pointer_v<T>) {
    return true;
  } else if constexpr (std::is_array_v<T>) {
    return std::extent_v<T> != 0 && is_flat<std::remove_cv_t<std::remove_extent_t<T>>>();
  } else if constexpr (!(std::is_class_v<T> || std::is_union_v<T>) || std::is_volatile_v<T>) {
    return false;
  } else if constexpr (!std::is_trivially_copyable_v<T> ||
                       !(std::is_copy_constructible_v<T> || std::is_move_constructible_v<T>)) {
    return false;
  } else if constexpr (is_std_array<T>) {
    return is_flat<typename T::value_type>();
  } else if constexpr (Standard<T>::is_known || refers_elsewhere<T>) {
    return false;
  } else if constexpr (is_plain_data<T> || is_from_std<T>) {
    return true;
  } else if constexpr (has_serialize_functions<T>) {
    return false;
  } else if constexpr (is_transparent<T>()) {
    return are_flat(members_of<T>());
  } else {
    return holds_no_address<T> || is_impenetrable<T>;
  }
}

/// True for value types that cross as a copy of their bytes: numbers, enumerations, trivially copyable classes and
/// structs without pointers, arrays of these.
template <class T>
inline constexpr bool is_flat_value = is_flat<T>();

template <class T>
consteval bool holds_bool();

template <class... Members>
consteval bool hold_bool(TypeList<Members...>) {
  return (holds_bool<std::remove_cv_t<Members>>() || ...);
}

/// True if a flat `T` is known to have a bool in it.
template <class T>
consteval bool holds_bool() {
  if constexpr (std::is_array_v<T>) {
    return holds_bool<std::remove_cv_t<std::remove_all_extents_t<T>>>();
  } else if constexpr (is_std_array<T>) {
    return holds_bool<typename T::value_type>();
  } else if constexpr (is_transparent<T>() && !is_from_std<T> && !is_plain_data<T>) {
    if constexpr (has_bit_field<T>) {
      return false;
    } else {
      return hold_bool(members_of<T>());
    }
  } else {
    return std::is_same_v<T, bool>;
  }
}

/// Looks at the bytes of bools, which may not be read as bools before. Damaged ones would be undefined behaviour later.
template <class T>
void require_valid_bools(const T& value) {
  if constexpr (!holds_bool<T>()) {
    return;
  } else if constexpr (std::is_same_v<T, bool>) {
    unsigned char byte = 0;
    std::memcpy(&byte, &value, 1);
    if (byte > 1) throw SerializationError("damaged bytes: a bool is neither true nor false");
  } else if constexpr (std::is_array_v<T> || is_std_array<T>) {
    for (const auto& item : value) require_valid_bools(item);
  } else {
    visit_members(value, [](const auto&... members) { (require_valid_bools(members), ...); });
  }
}

template <class T>
void require_valid_bools(const T* first, std::size_t count) {
  if constexpr (holds_bool<T>()) {
    for (std::size_t i = 0; i < count; ++i) require_valid_bools(first[i]);
  }
}

template <class T>
T load_flat(const std::byte* bytes) {
  static_assert(sizeof(bool) == 1);
  struct Raw {
    alignas(T) std::byte bytes[sizeof(T)];
  } raw;
  std::memcpy(raw.bytes, bytes, sizeof(T));
  require_valid_bools(*reinterpret_cast<const T*>(raw.bytes));
  return std::bit_cast<T>(raw);
}

/// Replaces `value` by what these bytes mean, which need not be aligned.
template <class T>
void load_flat_into(T& value, const std::byte* bytes) {
  if constexpr (std::is_array_v<T>) {
    for (auto& item : value) {
      load_flat_into(item, bytes);
      bytes += sizeof item;
    }
  } else {
    ::new (static_cast<void*>(std::addressof(value))) T(load_flat<T>(bytes));  // it may have const members
  }
}

}  // namespace procpool::detail
