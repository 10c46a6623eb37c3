// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What calling a callable with given arguments in a worker comes to: with or without the worker's state, and its
/// result.

#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <procpool/serial/arrival.hpp>
#include <procpool/serial/callable.hpp>
#include <procpool/serial/crossing.hpp>

namespace procpool::detail {

/// `State&`, or an empty list where the pool has no state or the call does not want it.
template <class State>
struct StateParameter {
  template <class F, class... Arrived>
  static constexpr bool calls = std::is_invocable_v<F&, State&, Arrived...>;
};
template <>
struct StateParameter<void> {
  template <class F, class... Arrived>
  static constexpr bool calls = false;
};

/// F called with what arrives of arguments sent as `Sent...`. The parameters that F declares are asked with the state
/// in front only if F cannot take the arguments alone.
template <class F, class State, class... Sent>
class CallShape {
  template <std::size_t Shift, class Indices>
  struct At;
  template <std::size_t Shift, std::size_t... I>
  struct At<Shift, std::index_sequence<I...>> {
    using Arrived = std::tuple<arrives_as_t<Sent, parameter_t<F, Shift + I>>...>;
    static constexpr bool alone = std::is_invocable_v<F&, arrives_as_t<Sent, parameter_t<F, Shift + I>>...>;
    static constexpr bool with_state =
        StateParameter<State>::template calls<F, arrives_as_t<Sent, parameter_t<F, Shift + I>>...>;
  };
  using Indices = std::index_sequence_for<Sent...>;

 public:
  static constexpr bool is_alone = At<0, Indices>::alone;
  static constexpr bool takes_state = !is_alone && At<1, Indices>::with_state;
  static constexpr bool is_callable = is_alone || takes_state;

  /// What is passed to F, in the worker.
  using Arrived = typename At<takes_state ? 1 : 0, Indices>::Arrived;

  /// Reads the arguments and calls. `state` is the worker's, or null.
  static decltype(auto) call(F& function, void* state, Arrived&& arguments) {
    return std::apply(
        [&](auto&&... values) -> decltype(auto) {
          if constexpr (takes_state) {
            return std::invoke(function, *static_cast<State*>(state), std::forward<decltype(values)>(values)...);
          } else {
            return std::invoke(function, std::forward<decltype(values)>(values)...);
          }
        },
        std::move(arguments));
  }

  /// Reads the arguments one behind the other.
  static Arrived receive(Decoder& decoder) { return receive(decoder, Indices{}); }

 private:
  template <std::size_t... I>
  static Arrived receive(Decoder& decoder, std::index_sequence<I...>) {
    return Arrived{arrive<Sent, parameter_t<F, I + (takes_state ? 1 : 0)>>(decoder)...};  // braces: in order
  }
};

/// What a task returns: decayed, because nothing that it refers to outlives the worker's call.
template <class F, class State, class... Sent>
using call_result_t = std::decay_t<decltype(CallShape<F, State, Sent...>::call(
    std::declval<F&>(), nullptr, std::declval<typename CallShape<F, State, Sent...>::Arrived>()))>;

/// The message of a call that does not fit.
template <bool IsCallable, class F, class... Sent>
consteval void require_call() {
  static_assert(
      IsCallable,
      "procpool: the function cannot be called with these arguments in a worker. Arguments arrive as values "
      "of their decayed types: a parameter must not be a non-const reference, and all arguments must be given");
}

}  // namespace procpool::detail
