// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a callable is passed for an argument: the value that was sent, or, if that is all its parameter asks for, a
/// view of the block.

#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

#include <procpool/serial/decoder.hpp>
#include <procpool/serial/sent.hpp>
#include <procpool/serial/shape.hpp>

namespace procpool::detail {

/// `T` is a text view of `Item`s: std::string_view or const char*.
template <class T, class Item>
inline constexpr bool views_text = false;
template <class C, class R>
inline constexpr bool views_text<std::basic_string_view<C, R>, C> = true;
template <class T>
inline constexpr bool views_text<const T*, T> = is_character<T>;

/// `T` is a std::span<const Item>, of items that may lie in a block as they are.
template <class T, class Item>
inline constexpr bool spans_items = false;
template <class T, std::size_t Extent>
inline constexpr bool spans_items<std::span<const T, Extent>, T> = alignof(T) <= block_alignment;

/// True if a parameter (without reference) can view the block in place of a value that was sent as a `Sent`: a
/// std::string for a std::string_view, a std::vector for a std::span, and so on.
template <class Sent, class Parameter>
inline constexpr bool arrives_in_place =
    !std::is_same_v<Sent, Parameter> && std::rank_v<Sent> <= 1 &&
    (spans_items<Parameter, item_t<Sent>> || (RunOf<Sent>::is_text && views_text<Parameter, item_t<Sent>>));

/// True for types that name memory which a task may write to: its parameter may be a `T&`, or a std::span of it.
template <class T>
inline constexpr bool names_shared_memory = false;

template <class T>
inline constexpr bool is_span = false;
template <class T, std::size_t Extent>
inline constexpr bool is_span<std::span<T, Extent>> = true;

/// A temporary would not become a span.
template <class Sent, class Parameter>
inline constexpr bool arrives_as_span =
    names_shared_memory<Sent> && is_span<Parameter> && std::is_convertible_v<Sent&, Parameter>;

template <class Sent, class Parameter>
struct Arrival {
  using type = typename InPlace<Sent>::type;
};
template <class Sent, class Parameter>
  requires(arrives_in_place<Sent, Parameter> || arrives_as_span<Sent, Parameter>)
struct Arrival<Sent, Parameter> {
  using type = Parameter;
};

/// What is passed for a `T&`.
template <class T>
struct ArrivedObject {
  T object;
  // NOLINTNEXTLINE(google-explicit-constructor): it stands for the object
  operator T&() noexcept { return object; }
};

template <class Sent, class Parameter>
inline constexpr bool arrives_as_object =
    names_shared_memory<Sent> && std::is_same_v<Parameter, std::add_lvalue_reference_t<Sent>>;

template <class Sent, class Parameter>
struct ArrivalFor : Arrival<Sent, std::remove_cvref_t<Parameter>> {};
template <class Sent, class Parameter>
  requires(arrives_as_object<Sent, Parameter>)
struct ArrivalFor<Sent, Parameter> {
  using type = ArrivedObject<Sent>;
};

/// The type of arrive<Sent, Parameter>, with which a callable is asked whether it can be called.
template <class Sent, class Parameter>
using arrives_as_t = typename ArrivalFor<Sent, Parameter>::type;

/// The next value, which was sent as a `Sent`, for a parameter that is declared as `Parameter`; void if that is
/// unknown.
template <class Sent, class Parameter>
[[nodiscard]] arrives_as_t<Sent, Parameter> arrive(Decoder& decoder) {
  using View = std::remove_cvref_t<Parameter>;
  if constexpr (arrives_as_object<Sent, Parameter>) {
    return {decoder.next<Sent>()};
  } else if constexpr (arrives_as_span<Sent, View>) {
    Sent object = decoder.next<Sent>();
    return View(object);
  } else if constexpr (!arrives_in_place<Sent, View>) {
    return decoder.next<Sent>();
  } else {
    const auto items = decoder.next_items<Sent>();
    if constexpr (spans_items<View, item_t<Sent>>) return decoder.spanning<View>(items);
    else if constexpr (std::is_pointer_v<View>) return items.data();
    else return View(items.data(), items.size());
  }
}

}  // namespace procpool::detail
