// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Asks, in the order of the README's "What may cross", whether a call may become a task, and says why if not.

#include <procpool/detail/task/call_shape.hpp>
#include <procpool/serial/callable.hpp>
#include <procpool/serial/crossing.hpp>

namespace procpool::detail {

/// F called with arguments sent as `Sent...`.
template <class State, class F, class... Sent>
struct TaskRequirements {
  /// Does not compile if the call may not become a task: the first error says what is wrong and what to do. Where it is
  /// false, the caller instantiates nothing more, so that no other error hides that one.
  static consteval bool check() {
    require_callable<F>();
    (require_crossing_argument<Sent>(), ...);
    if constexpr (callable_crosses<F> && (Crosses<Sent> && ...)) {
      require_call<CallShape<F, State, Sent...>::is_callable, F, Sent...>();
      if constexpr (CallShape<F, State, Sent...>::is_callable) {
        using R = call_result_t<F, State, Sent...>;
        require_crossing_result<R>();
        return CrossesBack<R>;
      }
    }
    return false;
  }
};

}  // namespace procpool::detail
