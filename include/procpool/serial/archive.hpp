// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How the archives write and read each kind of value: flat values as their bytes, standard types by Standard, types
/// with a `serialize` by cereal, plain structs member by member.

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <cereal/cereal.hpp>

#include <procpool/serial/crossing.hpp>
#include <procpool/serial/flat.hpp>
#include <procpool/serial/input_archive.hpp>
#include <procpool/serial/members.hpp>
#include <procpool/serial/output_archive.hpp>

namespace procpool::detail {

// cereal's wrappers, by what they mean for an archive without names. (They are trivially copyable, and yet not data.)
enum class Wrapper { none, named_value, size, raw_bytes, base, left_to_cereal };

template <class T>
inline constexpr Wrapper wrapper_of = Wrapper::none;
template <class T>
inline constexpr Wrapper wrapper_of<cereal::NameValuePair<T>> = Wrapper::named_value;
template <class T>
inline constexpr Wrapper wrapper_of<cereal::SizeTag<T>> = Wrapper::size;
template <class T>
inline constexpr Wrapper wrapper_of<cereal::BinaryData<T>> = Wrapper::raw_bytes;
template <class T>
inline constexpr Wrapper wrapper_of<cereal::base_class<T>> = Wrapper::base;
template <class T>
inline constexpr Wrapper wrapper_of<cereal::virtual_base_class<T>> = Wrapper::left_to_cereal;
template <class T>
inline constexpr Wrapper wrapper_of<cereal::DeferredData<T>> = Wrapper::left_to_cereal;

/// True for types that cereal's own archive base treats: those with functions, unless the archives know them.
template <class T>
consteval bool is_left_to_cereal() {
  if constexpr (wrapper_of<T> == Wrapper::left_to_cereal) {
    return true;
  } else if constexpr (!std::is_class_v<T> || is_flat<T>()) {
    return false;
  } else if constexpr (Standard<T>::is_known) {
    return false;
  } else {
    return has_serialize_functions<T>;
  }
}

template <class T>
void OutputArchive::put(const T& value) {
  if constexpr (wrapper_of<T> == Wrapper::named_value) {
    put(value.value);
  } else if constexpr (wrapper_of<T> == Wrapper::size) {
    write_size(static_cast<std::size_t>(value.size));
  } else if constexpr (wrapper_of<T> == Wrapper::raw_bytes) {
    write(value.data, static_cast<std::size_t>(value.size));
  } else if constexpr (wrapper_of<T> == Wrapper::base) {
    put(*value.base_ptr);
  } else if constexpr (is_left_to_cereal<T>()) {
    stack_.check();
    cereal::OutputArchive<OutputArchive, cereal::AllowEmptyClassElision>::operator()(value);
  } else if constexpr (is_flat<T>()) {
    write(std::addressof(value), sizeof(T));
  } else if constexpr (std::is_array_v<T>) {
    for (const auto& item : value) put(item);
  } else {
    require_crossing_part<T>();
    if constexpr (decltype(inspect<T>())::obstacle == Obstacle::none) {
      stack_.check();
      if constexpr (Standard<T>::is_known) {
        Standard<T>::save(*this, value);
      } else {
        visit_members(value, [this](const auto&... members) { (*this)(members...); });
      }
    }
  }
}

template <class T>
void InputArchive::get(T& value) {
  static_assert(!std::is_const_v<T>, "procpool: a `serialize` or `load` reads into something const");
  if constexpr (wrapper_of<T> == Wrapper::named_value) {
    get(value.value);
  } else if constexpr (wrapper_of<T> == Wrapper::size) {
    value.size = static_cast<std::remove_reference_t<decltype(value.size)>>(read_size());
  } else if constexpr (wrapper_of<T> == Wrapper::raw_bytes) {
    read(value.data, static_cast<std::size_t>(value.size));
  } else if constexpr (wrapper_of<T> == Wrapper::base) {
    get(*value.base_ptr);
  } else if constexpr (is_left_to_cereal<T>()) {
    stack_.check();
    cereal::InputArchive<InputArchive, cereal::AllowEmptyClassElision>::operator()(value);
  } else if constexpr (is_flat<T>()) {
    load_flat_into(value, take(sizeof(T)));
  } else if constexpr (std::is_array_v<T>) {
    for (auto& item : value) get(item);
  } else {
    require_crossing_part<T>();
    if constexpr (decltype(inspect<T>())::obstacle == Obstacle::none) {
      stack_.check();
      if constexpr (Standard<T>::is_known) {
        Standard<T>::load(*this, value);
      } else {
        visit_members(value, [this](auto&... members) { (*this)(members...); });
      }
    }
  }
}

// A function of its own, or GCC 12 would move the value out.
template <class T>
[[nodiscard]] T load_new(InputArchive& archive) {
  T value{};
  archive(value);
  return value;
}

template <class T>
T load_as(InputArchive& archive) {
  if constexpr (is_flat<T>()) {
    return load_flat<T>(archive.take(sizeof(T)));
  } else {
    return load_new<T>(archive);
  }
}

// What cereal itself hands to an archive without asking its operator(): numbers and strings of `save_minimal`, its
// wrappers, and whatever its headers ask about before they choose a way to write.

template <class T>
  requires(std::is_arithmetic_v<T>)
void save(OutputArchive& archive, const T& value) {
  archive(value);
}
template <class T>
  requires(std::is_arithmetic_v<T>)
void load(InputArchive& archive, T& value) {
  archive(value);
}
template <class C, class R, class A>
void save(OutputArchive& archive, const std::basic_string<C, R, A>& text) {
  archive(text);
}
template <class C, class R, class A>
void load(InputArchive& archive, std::basic_string<C, R, A>& text) {
  archive(text);
}
template <class T>
void save(OutputArchive& archive, const cereal::BinaryData<T>& bytes) {
  archive(bytes);
}
template <class T>
void load(InputArchive& archive, cereal::BinaryData<T>& bytes) {
  archive(bytes);
}
template <class T>
void serialize(OutputArchive& archive, cereal::NameValuePair<T>& pair) {
  archive(pair);
}
template <class T>
void serialize(InputArchive& archive, cereal::NameValuePair<T>& pair) {
  archive(pair);
}
template <class T>
void serialize(OutputArchive& archive, cereal::SizeTag<T>& size) {
  archive(size);
}
template <class T>
void serialize(InputArchive& archive, cereal::SizeTag<T>& size) {
  archive(size);
}

}  // namespace procpool::detail
