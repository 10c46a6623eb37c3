// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The type as which an argument is sent.

#include <type_traits>

#include <procpool/serial/type_kind.hpp>

namespace procpool::detail {

template <class T>
struct Sent {
  using type = std::decay_t<T>;
};
// Text is text, be it a literal or a `char*`; other arrays stay what they are.
template <class T>
  requires is_character<std::remove_cv_t<T>>
struct Sent<T*> {
  using type = const std::remove_cv_t<T>*;
};
template <class T, std::size_t Size>
struct Sent<T[Size]> {
  using type =
      std::conditional_t<is_character<std::remove_cv_t<T>>, const std::remove_cv_t<T>*, std::remove_cv_t<T>[Size]>;
};

/// How an argument is sent that was given as `T`, the deduced type of a forwarding reference: as `std::decay_t` has it,
/// except that text literals and `char*` become `const char*` (also of other character types) and that arrays stay
/// arrays.
template <class T>
using sent_t = typename Sent<std::remove_cvref_t<T>>::type;

}  // namespace procpool::detail
