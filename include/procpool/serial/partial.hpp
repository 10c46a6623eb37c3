// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Functions with their first arguments given in advance.

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/serial/crossing.hpp>
#include <procpool/serial/sent.hpp>
#include <procpool/serial/signature.hpp>

namespace procpool::detail {

/// How a bound value is kept: text and views own their contents, all others are decayed copies.
template <class T>
struct Bound {
  using type = T;
};
template <class T>
  requires is_character<T>
struct Bound<const T*> {
  using type = std::basic_string<T>;
};
template <class C, class R>
struct Bound<std::basic_string_view<C, R>> {
  using type = std::basic_string<C, R>;
};
template <class T, std::size_t Extent>
struct Bound<std::span<T, Extent>> {
  using type = std::vector<std::remove_cv_t<T>>;
};
template <class T, std::size_t Size>
struct Bound<T[Size]> {
  using type = std::array<T, Size>;
};
template <class T>
using bound_t = typename Bound<sent_t<T>>::type;

template <class Given>
[[nodiscard]] bound_t<Given> bind_value(Given&& value) {
  using Kept = bound_t<Given>;
  if constexpr (std::is_constructible_v<Kept, Given>) {
    return Kept(std::forward<Given>(value));
  } else if constexpr (std::is_array_v<std::remove_reference_t<Given>>) {
    return std::to_array(value);
  } else {
    return Kept(value.begin(), value.end());
  }
}

/// What a parameter is given: the value itself, or of a text its characters where the parameter is a `const char*`.
template <class Parameter, class T>
[[nodiscard]] constexpr const T& pass_bound(const T& value) noexcept {
  return value;
}
template <class Parameter, class C, class R, class A>
  requires std::is_same_v<std::remove_cvref_t<Parameter>, const C*>
[[nodiscard]] constexpr const C* pass_bound(const std::basic_string<C, R, A>& text) noexcept {
  return text.c_str();
}

/// True if `Function` can be called with bound `Values` and then `Rest`.
template <class Function, class Values, class... Rest, std::size_t... I>
consteval bool accepts_bound(std::index_sequence<I...>) {
  return []<class... Kept>(TypeList<Kept...>) {
    return std::is_invocable_v<Function, decltype(pass_bound<parameter_t<Function, I>>(std::declval<const Kept&>()))...,
                               Rest...>;
  }(Values{});
}

/// The type of partial(f, values…): an `F` and its first arguments, sent together.
template <class F, class... Values>
class Partial {
 public:
  using Function = F;

  template <class Called, class... Given>
  explicit Partial(std::in_place_t, Called&& called, Given&&... given)
      : function_(std::forward<Called>(called)), values_(std::forward<Given>(given)...) {}

  /// Calls the function with the bound values, as const lvalues, and then `rest`.
  template <class... Rest>
    requires(accepts_bound<F&, TypeList<Values...>, Rest...>(std::index_sequence_for<Values...>{}))
  decltype(auto) operator()(Rest&&... rest) {
    return call(function_, std::index_sequence_for<Values...>{}, std::forward<Rest>(rest)...);
  }
  template <class... Rest>
    requires(accepts_bound<const F&, TypeList<Values...>, Rest...>(std::index_sequence_for<Values...>{}))
  decltype(auto) operator()(Rest&&... rest) const {
    return call(function_, std::index_sequence_for<Values...>{}, std::forward<Rest>(rest)...);
  }

  [[nodiscard]] const F& function() const noexcept { return function_; }
  [[nodiscard]] const std::tuple<Values...>& values() const noexcept { return values_; }

 private:
  template <class Called, std::size_t... I, class... Rest>
  decltype(auto) call(Called& called, std::index_sequence<I...>, Rest&&... rest) const {
    return std::invoke(called, pass_bound<parameter_t<F, I>>(std::get<I>(values_))..., std::forward<Rest>(rest)...);
  }

  [[no_unique_address]] F function_;
  std::tuple<Values...> values_;
};

template <class T>
inline constexpr bool is_partial = false;
template <class F, class... Values>
inline constexpr bool is_partial<Partial<F, Values...>> = true;

// What is left of the parameters.
template <class F, class... Values>
struct ParametersOf<Partial<F, Values...>> : DropFront<signature_of<F>, sizeof...(Values)> {};

/// Refuses, at compile time, to bind a value where it could be written to.
template <class Parameters, std::size_t Bound>
consteval void require_read_only_binding() {
  static_assert(
      !has_writable_reference<Parameters, 0, Bound>,
      "procpool: partial binds a value to a parameter of type `T&`, but every task gets the same value, const. "
      "Let the function take it by `const T&` or by value");
}

}  // namespace procpool::detail

namespace procpool {

/// Binds `values` to the first parameters of `function`, to make a task of what a lambda could not capture: a
/// std::string, a std::vector, a std::map, anything that may be an argument. They are sent once for a whole map, and
/// the function gets them as `const T&`. Text and views are kept as copies of their contents. Nests.
///
///     pool.map(procpool::partial(count_known_words, dictionary), lines);
template <class F, class... Values>
[[nodiscard]] auto partial(F&& function, Values&&... values) {
  using Made = detail::Partial<std::decay_t<F>, detail::bound_t<Values>...>;
  (detail::require_crossing_argument<detail::bound_t<Values>>(), ...);
  detail::require_read_only_binding<detail::signature_of<std::decay_t<F>>, sizeof...(Values)>();
  return Made(std::in_place, std::forward<F>(function), detail::bind_value<Values>(std::forward<Values>(values))...);
}

}  // namespace procpool
