// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Finds what keeps a type from crossing to another process, however deep in it that is.

#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

#include <procpool/serial/flat.hpp>
#include <procpool/serial/members.hpp>
#include <procpool/serial/sent.hpp>
#include <procpool/serial/standard_type.hpp>
#include <procpool/serial/type_kind.hpp>

namespace procpool::detail {

enum class Obstacle {
  none,
  pointer,
  function,
  closure,
  member_pointer,
  iterator,
  reference_wrapper,
  view_of_objects,  // a view, as an argument, of elements that are not flat
  held_view,        // a view inside something else
  returned_view,
  array_of_objects,  // a C array, as an argument, of elements that are not flat
  returned_array,
  hidden_state,       // a comparator, hash or deleter with state
  polymorphic,        // a smart pointer to a class that only cereal's registry can rebuild
  half_serializable,  // `save` without `load`, or the reverse
  no_default,
  base_class,
  too_many_members,
  opaque,  // a union, or a struct with a reference or with a member that has no default value
  bit_field,
  const_member,
  closed_class,  // private members that could be pointers
  unknown,
};

/// An obstacle and the type that is one; void if there is none.
template <Obstacle Found, class Type>
struct Verdict {
  static constexpr Obstacle obstacle = Found;
  using type = Type;
};
using Free = Verdict<Obstacle::none, void>;

consteval Free first_obstacle() { return {}; }
template <class First, class... Rest>
consteval auto first_obstacle(First, Rest... rest) {
  if constexpr (First::obstacle != Obstacle::none) {
    return First{};
  } else {
    return first_obstacle(rest...);
  }
}

/// What keeps `T` from crossing as a value inside of another. `Around` lists the structs that it is inside of: those
/// may hold themselves (by a std::vector, say) and are not entered again.
template <class T, class... Around>
consteval auto inspect();

template <class... Around, class... Parts>
consteval auto inspect_each(TypeList<Parts...>) {
  return first_obstacle(inspect<Parts, Around...>()...);
}

// The members of a struct that is not flat, and so is written member by member.
template <class T, class... Around>
consteval auto inspect_struct() {
  if constexpr (std::is_union_v<T> || !requires { T{}; }) {
    return Verdict<Obstacle::opaque, T>{};
  } else if constexpr (has_base_class<T>) {
    return Verdict<Obstacle::base_class, T>{};
  } else if constexpr (member_count<T>() > most_members) {
    return Verdict<Obstacle::too_many_members, T>{};
  } else {
    using Found = decltype(inspect_each<T, Around...>(members_of<T>()));
    if constexpr (Found::obstacle != Obstacle::none) {
      return Found{};
    } else if constexpr (has_bit_field<T>) {
      return Verdict<Obstacle::bit_field, T>{};
    } else if constexpr (has_const_member<T>) {
      return Verdict<Obstacle::const_member, T>{};
    } else {
      return Free{};
    }
  }
}

template <class T>
inline constexpr bool points_to_polymorphic = false;
template <class T, class D>
inline constexpr bool points_to_polymorphic<std::unique_ptr<T, D>> = std::is_polymorphic_v<T>;
template <class T>
inline constexpr bool points_to_polymorphic<std::shared_ptr<T>> = std::is_polymorphic_v<T>;

template <class T>
consteval auto inspect_serialize_functions() {
  if constexpr (!has_output_functions<T> || !has_input_functions<T>) {
    return Verdict<Obstacle::half_serializable, T>{};
  } else if constexpr (!std::is_default_constructible_v<T>) {
    return Verdict<Obstacle::no_default, T>{};
  } else {
    return Free{};
  }
}

template <class T, class... Around>
consteval auto inspect_class() {
  if constexpr (is_reference_wrapper<T>) {
    return Verdict<Obstacle::reference_wrapper, T>{};
  } else if constexpr (is_view<T>) {
    return Verdict<Obstacle::held_view, T>{};
  } else if constexpr (is_closure<T>) {
    return Verdict<Obstacle::closure, T>{};
  } else if constexpr (is_std_function<T>) {
    return Verdict<Obstacle::function, T>{};
  } else if constexpr (is_iterator<T>) {
    return Verdict<Obstacle::iterator, T>{};
  } else if constexpr (is_coroutine_handle<T>) {
    return Verdict<Obstacle::pointer, T>{};
  } else if constexpr (Standard<T>::is_known) {
    using Found = decltype(inspect_each<Around...>(typename Standard<T>::parts()));
    if constexpr (Found::obstacle != Obstacle::none) {
      return Found{};
    } else if constexpr (Standard<T>::has_hidden_state) {
      return Verdict<Obstacle::hidden_state, T>{};
    } else if constexpr (!std::is_default_constructible_v<T>) {
      return Verdict<Obstacle::no_default, T>{};
    } else {
      return Free{};
    }
  } else if constexpr (has_serialize_functions<T>) {
    return inspect_serialize_functions<T>();
  } else if constexpr (points_to_polymorphic<T>) {
    return Verdict<Obstacle::polymorphic, T>{};
  } else if constexpr (std::is_aggregate_v<T>) {
    return inspect_struct<T, Around...>();
  } else if constexpr (std::is_trivially_copyable_v<T> && std::is_copy_constructible_v<T>) {
    return Verdict<Obstacle::closed_class, T>{};
  } else {
    return Verdict<Obstacle::unknown, T>{};
  }
}

template <class Given, class... Around>
consteval auto inspect() {
  using T = std::remove_cv_t<Given>;
  if constexpr ((std::is_same_v<T, Around> || ...) || std::is_void_v<T>) {
    return Free{};
  } else if constexpr (std::is_array_v<T>) {
    return inspect<std::remove_extent_t<T>, Around...>();
  } else if constexpr (std::is_function_v<std::remove_pointer_t<T>>) {
    return Verdict<Obstacle::function, T>{};
  } else if constexpr (std::is_pointer_v<T> || std::is_reference_v<T>) {
    return Verdict<Obstacle::pointer, T>{};
  } else if constexpr (std::is_member_pointer_v<T>) {
    return Verdict<Obstacle::member_pointer, T>{};
  } else if constexpr (is_flat<T>()) {
    return Free{};
  } else if constexpr (std::is_class_v<T> || std::is_union_v<T>) {
    return inspect_class<T, Around...>();
  } else {
    return Verdict<Obstacle::unknown, T>{};
  }
}

template <class T>
inline constexpr bool is_text_pointer = false;
template <class T>
inline constexpr bool is_text_pointer<const T*> = is_character<T>;

template <class T>
struct ViewOf {
  using item = void;
};
template <class C, class R>
struct ViewOf<std::basic_string_view<C, R>> {
  using item = C;
};
template <class T, std::size_t Extent>
struct ViewOf<std::span<T, Extent>> {
  using item = std::remove_cv_t<T>;
};

/// What keeps an argument from crossing that is sent as `T`.
template <class T>
consteval auto inspect_argument() {
  using Item = typename ViewOf<T>::item;
  if constexpr (is_text_pointer<T>) {
    return Free{};
  } else if constexpr (!std::is_void_v<Item>) {
    using Found = decltype(inspect<Item>());
    if constexpr (Found::obstacle != Obstacle::none) {
      return Found{};
    } else if constexpr (!is_flat<Item>() || alignof(Item) > block_alignment) {
      return Verdict<Obstacle::view_of_objects, T>{};
    } else {
      return Free{};
    }
  } else if constexpr (std::is_array_v<T>) {
    using Found = decltype(inspect<T>());
    if constexpr (Found::obstacle != Obstacle::none) {
      return Found{};
    } else if constexpr (!is_flat<T>() || alignof(T) > block_alignment) {
      return Verdict<Obstacle::array_of_objects, T>{};
    } else {
      return Free{};
    }
  } else {
    return inspect<T>();
  }
}

/// What keeps a result of type `T` from crossing.
template <class T>
consteval auto inspect_result() {
  if constexpr (is_text_pointer<sent_t<T>> || !std::is_void_v<typename ViewOf<T>::item>) {
    return Verdict<Obstacle::returned_view, T>{};
  } else if constexpr (std::is_array_v<T>) {
    return Verdict<Obstacle::returned_array, T>{};
  } else {
    return inspect<T>();
  }
}

}  // namespace procpool::detail
