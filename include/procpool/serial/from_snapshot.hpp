// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Callables whose pointers mean memory as it was when the pool was made.

#include <functional>
#include <type_traits>
#include <utility>

#include <procpool/serial/signature.hpp>
#include <procpool/serial/type_kind.hpp>

namespace procpool::detail {

/// The type of from_snapshot(f).
template <class F>
class FromSnapshot {
 public:
  constexpr explicit FromSnapshot(F wrapped) : function_(std::move(wrapped)) {}

  template <class... Arguments>
    requires std::is_invocable_v<F&, Arguments...>
  decltype(auto) operator()(Arguments&&... arguments) {
    return std::invoke(function_, std::forward<Arguments>(arguments)...);
  }
  template <class... Arguments>
    requires std::is_invocable_v<const F&, Arguments...>
  decltype(auto) operator()(Arguments&&... arguments) const {
    return std::invoke(function_, std::forward<Arguments>(arguments)...);
  }

  [[nodiscard]] const F& function() const noexcept { return function_; }

 private:
  [[no_unique_address]] F function_;
};

template <class F>
inline constexpr bool is_all_bytes<FromSnapshot<F>> = is_all_bytes<F>;

template <class T>
inline constexpr bool is_from_snapshot = false;
template <class F>
inline constexpr bool is_from_snapshot<FromSnapshot<F>> = true;

template <class F>
struct ParametersOf<FromSnapshot<F>> {
  using type = signature_of<F>;
};

}  // namespace procpool::detail

namespace procpool {

/// Sends `function`, which captures pointers or references, as it is. A worker sees what they point to as it was when
/// the pool was made: later changes do not reach it, and what was made later is not there at all (its address holds
/// something else, or nothing, and then the worker dies). Also for captured bytes that only look like an address.
template <class F>
[[nodiscard]] constexpr auto from_snapshot(F&& function) {
  using Function = std::decay_t<F>;
  static_assert(
      detail::is_all_bytes<Function>,
      "procpool: from_snapshot sends the bytes of a function object, but this one holds something that is more "
      "than its bytes (a std::string, a container, a smart pointer). Capture a pointer or a reference to it "
      "instead, or bind the value with procpool::partial(f, values...)");
  return detail::FromSnapshot<Function>(std::forward<F>(function));
}

}  // namespace procpool
