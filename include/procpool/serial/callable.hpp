// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What may be sent as the function of a task, and how.

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <new>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <procpool/serial/capture_check.hpp>
#include <procpool/serial/crossing.hpp>
#include <procpool/serial/decoder.hpp>
#include <procpool/serial/encoding.hpp>
#include <procpool/serial/from_snapshot.hpp>
#include <procpool/serial/partial.hpp>

namespace procpool::detail {

/// No bytes travel: all there is of it is its code.
template <class F>
inline constexpr bool callable_is_stateless =
    std::is_empty_v<F> && (std::is_trivially_copyable_v<F> || std::is_default_constructible_v<F>);

/// Its bytes travel: pointers to functions and members, lambdas and function objects that are trivially copyable and
/// have no `serialize` of the user's.
template <class F>
consteval bool is_flat_callable() {
  if constexpr (callable_is_stateless<F> || is_partial<F> || is_reference_wrapper<F>) {
    return false;
  } else if constexpr (std::is_pointer_v<F> || std::is_member_pointer_v<F> || is_closure<F> || is_from_snapshot<F>) {
    return is_all_bytes<F>;
  } else if constexpr (std::is_class_v<F> && std::is_trivially_copyable_v<F>) {
    return !has_serialize_functions<F>;
  } else {
    return false;
  }
}
template <class F>
inline constexpr bool callable_is_flat = is_flat_callable<F>();

enum class CallableObstacle { none, std_function, binder, reference_wrapper, closure, opaque };

template <class F>
consteval CallableObstacle callable_obstacle() {
  constexpr std::string_view name = pretty_name<F>();
  if constexpr (is_partial<F>) {
    return callable_obstacle<typename F::Function>();  // partial() itself refuses values that cannot be sent
  } else if constexpr (callable_is_stateless<F> || callable_is_flat<F>) {
    // Asked here, at the beginning of every verb, because GCC 12 gives another answer later: see is_all_bytes.
    static_cast<void>(holds_no_address<F>);
    return CallableObstacle::none;
  } else if constexpr (is_reference_wrapper<F>) {
    return CallableObstacle::reference_wrapper;
  } else if constexpr (is_closure<F>) {
    return CallableObstacle::closure;
  } else if constexpr (name.starts_with("std::_Bind") || name.starts_with("std::__1::__bind")) {
    return CallableObstacle::binder;
  } else if constexpr (name.starts_with("std::function<") || name.starts_with("std::move_only_function<")) {
    return CallableObstacle::std_function;
  } else {
    return decltype(inspect<F>())::obstacle == Obstacle::none ? CallableObstacle::none : CallableObstacle::opaque;
  }
}

/// True if `F` itself, and all that is bound to it, can be sent.
template <class F>
inline constexpr bool callable_crosses = callable_obstacle<F>() == CallableObstacle::none;
template <class F, class... Values>
inline constexpr bool callable_crosses<Partial<F, Values...>> = callable_crosses<F> && (Crosses<Values> && ...);

/// Does not compile unless `F`, decayed, may be the function of a task. The first error says what is wrong and what to
/// do.
template <class F, CallableObstacle Found = callable_obstacle<F>()>
consteval void require_callable() {
  static_assert(Found != CallableObstacle::closure,
                "procpool: this lambda captures something that is more than its bytes (a std::string, a container, a "
                "smart pointer), and nobody can look into a lambda to send it. Pass it as an argument of the task, or "
                "let it be the first parameter and bind it: procpool::partial(f, values...)");
  static_assert(Found != CallableObstacle::binder,
                "procpool: the result of std::bind or std::bind_front cannot be sent, because nobody can look into "
                "it. Bind with procpool::partial(f, values...) instead, which sends the values");
  static_assert(Found != CallableObstacle::std_function,
                "procpool: a std::function cannot be sent, because it may hold anything. Give the function or the "
                "lambda itself; to bind values to it use procpool::partial(f, values...)");
  static_assert(Found != CallableObstacle::reference_wrapper,
                "procpool: std::ref refers to a function object of this process, which a worker cannot reach. Give "
                "the function object itself, or procpool::partial(f, values...)");
  static_assert(Found != CallableObstacle::opaque,
                "procpool: nothing is known of how to send this function object. Give it a `serialize`, make it a "
                "struct of public members that can be sent, or make a function of it and bind the values: "
                "procpool::partial(f, values...)");
}

/// Where the code of `function` lies, as far as its type does not say so: null for all but pointers to functions.
template <class F>
[[nodiscard]] const void* code_address(const F& function) noexcept {
  if constexpr (std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>) {
    return reinterpret_cast<const void*>(function);
  } else if constexpr (is_partial<F> || is_from_snapshot<F>) {
    return code_address(function.function());
  } else {
    return nullptr;
  }
}

/// Throws UsageError if `function` is null, or if it captured an address of this process's private memory.
template <class F>
void check_captures(const F& function) {
  if constexpr (std::is_pointer_v<F> || std::is_member_pointer_v<F>) {
    if (function == nullptr) refuse_null();
  } else if constexpr (is_partial<F>) {
    check_captures(function.function());
  } else if constexpr (callable_is_flat<F> && !is_from_snapshot<F>) {
    check_captured_words(function);
  }
}

/// An `F` that has no state.
template <class F>
[[nodiscard]] F stateless_callable() {
  static_assert(callable_is_stateless<F>);
  if constexpr (std::is_trivially_copyable_v<F>) {
    return std::bit_cast<F>(std::array<std::byte, sizeof(F)>{});
  } else {
    return F();
  }
}

/// A copy of the `F` that has these bytes, which need not be aligned. (std::bit_cast asks GCC what is_all_bytes does
/// not.)
template <class F>
[[nodiscard]] F callable_of(const std::byte* bytes) noexcept {
  static_assert(is_all_bytes<F>);
  alignas(F) std::byte copy[sizeof(F)];
  std::memcpy(copy, bytes, sizeof(F));
  return F(*std::launder(reinterpret_cast<const F*>(copy)));
}

/// Adds `function`, which outlives the use of `encoding`; nothing for one without state. Runs the user's `serialize`.
template <class F>
void encode_callable(Encoding& encoding, const F& function) {
  require_callable<F>();
  if constexpr (!callable_crosses<F>) {
    return;  // It does not compile; this keeps the first error the only one.
  } else if constexpr (is_partial<F>) {
    encode_callable(encoding, function.function());
    std::apply([&encoding](const auto&... values) { (encoding.add(values), ...); }, function.values());
  } else if constexpr (callable_is_flat<F>) {
    std::array<std::byte, sizeof(F)> bytes;
    std::memcpy(bytes.data(), &function, sizeof(F));
    encoding.add_owned(bytes);
  } else if constexpr (!callable_is_stateless<F>) {
    encoding.add(function);
  }
}

template <class F>
struct CallableDecoder {
  [[nodiscard]] static F decode(Decoder& decoder) {
    if constexpr (callable_is_stateless<F>) {
      return stateless_callable<F>();
    } else if constexpr (callable_is_flat<F>) {
      return callable_of<F>(decoder.next<std::array<std::byte, sizeof(F)>>().data());
    } else if constexpr (callable_crosses<F>) {
      return decoder.next<F>();
    } else {
      throw UsageError("never compiled");  // See encode_callable().
    }
  }
};
template <class F, class... Values>
struct CallableDecoder<Partial<F, Values...>> {
  [[nodiscard]] static Partial<F, Values...> decode(Decoder& decoder) {
    // The braces see to it that they are read in order.
    return Partial<F, Values...>{std::in_place, CallableDecoder<F>::decode(decoder), decoder.next<Values>()...};
  }
};

/// The callable that encode_callable() added.
template <class F>
[[nodiscard]] F decode_callable(Decoder& decoder) {
  return CallableDecoder<F>::decode(decoder);
}

}  // namespace procpool::detail
