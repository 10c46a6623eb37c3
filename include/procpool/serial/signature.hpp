// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The parameters that a callable declares.

#include <cstddef>
#include <limits>
#include <type_traits>

namespace procpool::detail {

template <class... Types>
struct TypeList {
  static constexpr std::size_t size = sizeof...(Types);
};

/// In place of a TypeList: an overloaded or generic `operator()`, or one that ends in `...`.
struct UnknownParameters {
  static constexpr std::size_t size = 0;
};

// `R(P...)` with whatever may stand behind it.
template <class Function>
struct ParametersOfFunction {
  using type = UnknownParameters;
};
template <class R, class... P, bool N>
struct ParametersOfFunction<R(P...) noexcept(N)> {
  using type = TypeList<P...>;
};
template <class R, class... P, bool N>
struct ParametersOfFunction<R(P...) const noexcept(N)> {
  using type = TypeList<P...>;
};
template <class R, class... P, bool N>
struct ParametersOfFunction<R(P...) & noexcept(N)> {
  using type = TypeList<P...>;
};
template <class R, class... P, bool N>
struct ParametersOfFunction<R(P...) const & noexcept(N)> {
  using type = TypeList<P...>;
};
template <class R, class... P, bool N>
struct ParametersOfFunction<R(P...) && noexcept(N)> {
  using type = TypeList<P...>;
};

template <class List, class First>
struct PushFront {
  using type = UnknownParameters;
};
template <class... P, class First>
struct PushFront<TypeList<P...>, First> {
  using type = TypeList<First, P...>;
};

template <class List, std::size_t Count>
struct DropFront {
  using type = List;
};
template <class First, class... P, std::size_t Count>
  requires(Count > 0)
struct DropFront<TypeList<First, P...>, Count> : DropFront<TypeList<P...>, Count - 1> {};

template <class MemberPointer>
struct ParametersOfCallOperator;
template <class Function, class Class>
struct ParametersOfCallOperator<Function Class::*> : ParametersOfFunction<Function> {};

template <class F>
struct ParametersOf {
  using type = UnknownParameters;
};
template <class F>
  requires requires { &F::operator(); }
struct ParametersOf<F> : ParametersOfCallOperator<decltype(&F::operator())> {};
template <class Function>
struct ParametersOf<Function*> : ParametersOfFunction<Function> {};
// A member pointer takes its object by value, reference, pointer or smart pointer: hence void, unknown.
template <class Function, class Class>
  requires std::is_function_v<Function>
struct ParametersOf<Function Class::*> : PushFront<typename ParametersOfFunction<Function>::type, void> {};
template <class Object, class Class>
  requires(!std::is_function_v<Object>)
struct ParametersOf<Object Class::*> {
  using type = TypeList<void>;
};

/// The declared parameters of `F` as a TypeList, or UnknownParameters. A parameter that is not known is `void`.
template <class F>
using signature_of = typename ParametersOf<std::remove_cvref_t<F>>::type;

template <class F>
inline constexpr bool signature_is_known = !std::is_same_v<signature_of<F>, UnknownParameters>;

template <class List, std::size_t Index>
struct TypeAt {
  using type = void;
};
template <class First, class... P>
struct TypeAt<TypeList<First, P...>, 0> {
  using type = First;
};
template <class First, class... P, std::size_t Index>
  requires(Index > 0)
struct TypeAt<TypeList<First, P...>, Index> : TypeAt<TypeList<P...>, Index - 1> {};

/// The type that `F` declares for its parameter `Index`, from 0; void when that is not known.
template <class F, std::size_t Index>
using parameter_t = typename TypeAt<signature_of<F>, Index>::type;

template <class T>
inline constexpr bool is_writable_reference =
    std::is_lvalue_reference_v<T> && !std::is_const_v<std::remove_reference_t<T>> &&
    !std::is_function_v<std::remove_reference_t<T>>;

/// True if one of the parameters from `First` up to `End` (not included) is known to be a reference to write through.
template <class List, std::size_t First, std::size_t End>
inline constexpr bool has_writable_reference = false;
template <class... P, std::size_t First, std::size_t End>
inline constexpr bool has_writable_reference<TypeList<P...>, First, End> = [] {
  std::size_t at = 0;
  bool found = false;
  ((found |= is_writable_reference<P> && at >= First && at < End, ++at), ...);
  return found;
}();

/// Refuses, at compile time, parameters from `First` on that are `T&`: a task works on copies of its arguments.
template <class F, std::size_t First = 0>
consteval void require_value_parameters() {
  static_assert(!has_writable_reference<signature_of<F>, First, std::numeric_limits<std::size_t>::max()>,
                "procpool: this callable takes an argument by `T&`, but a task gets a copy in another process, so what "
                "it writes there is lost. Take it by value or by `const T&` and return the result");
}

}  // namespace procpool::detail
