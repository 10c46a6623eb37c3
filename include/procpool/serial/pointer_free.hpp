// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Types that provably hold no address.

#include <array>
#include <bit>
#include <cstddef>
#include <type_traits>

namespace procpool::detail {

/// True if the compiler can make a `T` of zero bytes while it compiles, which the standard forbids it for everything
/// that holds a pointer, a reference, a pointer to a member or a union. So it sees through a lambda, where nothing else
/// does. False means nothing: compilers give up on bit-fields, on `long double`, on classes without a constexpr
/// constructor.
template <class T>
inline constexpr bool holds_no_address = false;

template <class T>
  requires(std::is_trivially_copyable_v<T> && sizeof(T) <= 4096) && requires {
    typename std::bool_constant<(static_cast<void>(std::bit_cast<T>(std::array<std::byte, sizeof(T)>{})), true)>;
  }
inline constexpr bool holds_no_address<T> = true;

}  // namespace procpool::detail
