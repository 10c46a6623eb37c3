// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Recognizes the kinds of types that must not be copied byte by byte although the compiler would allow it.

#include <functional>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string_view>
#include <type_traits>

namespace procpool::detail {

template <class T>
consteval std::string_view pretty_name() {
  const std::string_view text = __PRETTY_FUNCTION__;
  const std::size_t begin = text.find("T = ") + 4;
#ifdef __clang__
  return text.substr(begin, text.size() - 1 - begin);
#else
  return text.substr(begin, text.find("; std::string_view = ") - begin);
#endif
}

/// True for types that the standard library defines: these have no members that anybody should look at.
template <class T>
inline constexpr bool is_from_std = pretty_name<T>().starts_with("std::");

// GCC writes `f()::<lambda(int)>`, Clang `n::(lambda at file.cpp:1:2)`. A template over a lambda has one within its
// name, so it is the outermost brackets that count.
consteval bool names_a_closure(std::string_view name) {
  if (name.ends_with(')')) return name.find("(lambda at ") != std::string_view::npos;
  if (!name.ends_with('>')) return false;
  std::size_t depth = 0;
  for (std::size_t at = name.size(); at-- > 0;) {
    if (name[at] == '>') ++depth;
    if (name[at] == '<' && --depth == 0) return name.substr(at).starts_with("<lambda(");
  }
  return false;
}

template <class T>
inline constexpr bool is_closure = std::is_class_v<T> && !std::is_aggregate_v<T> && names_a_closure(pretty_name<T>());

/// True if the bytes of a callable are all there is of it: what std::is_trivially_copyable says, but GCC 12 denies that
/// of a closure once somebody has asked whether it can be assigned, as std::optional and std::tuple do.
template <class F>
inline constexpr bool is_all_bytes = std::is_trivially_copyable_v<F> ||
                                     (is_closure<F> && std::is_trivially_copy_constructible_v<F> &&
                                      std::is_trivially_move_constructible_v<F> && std::is_trivially_destructible_v<F>);

template <class T>
inline constexpr bool is_reference_wrapper = false;
template <class T>
inline constexpr bool is_reference_wrapper<std::reference_wrapper<T>> = true;

/// Function objects that may hold anything.
template <class T>
inline constexpr bool is_std_function = false;
template <class Signature>
inline constexpr bool is_std_function<std::function<Signature>> = true;

/// Refers to elements that lie elsewhere.
template <class T>
inline constexpr bool is_view = std::ranges::enable_view<T> || std::ranges::enable_borrowed_range<T>;
template <class T>
inline constexpr bool is_view<std::initializer_list<T>> = true;

template <class T>
inline constexpr bool is_coroutine_handle = requires { T::from_address(nullptr).resume(); };

/// A pointer in all but name.
template <class T>
inline constexpr bool is_iterator = std::is_class_v<T> && std::input_or_output_iterator<T>;

/// True for classes that refer to memory outside themselves, whatever their members are.
template <class T>
inline constexpr bool refers_elsewhere =
    is_reference_wrapper<T> || is_view<T> || is_coroutine_handle<T> || is_iterator<T> || is_closure<T>;

template <class T>
inline constexpr bool is_character =
    std::is_same_v<T, char> || std::is_same_v<T, wchar_t> || std::is_same_v<T, char8_t> ||
    std::is_same_v<T, char16_t> || std::is_same_v<T, char32_t>;

}  // namespace procpool::detail
