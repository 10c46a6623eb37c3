// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Where small trivially copyable values lie when they travel in a slot, or as items of a chunk.

#include <array>
#include <cstddef>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include <procpool/serial/callable.hpp>
#include <procpool/serial/flat.hpp>

namespace procpool::detail {

/// One behind the other, each aligned as it needs; written and read by memcpy.
template <class... Values>
struct FlatLayout {
  /// offsets[i]: of value i; the last one is the size of all.
  static constexpr std::array<std::size_t, sizeof...(Values) + 1> offsets = [] {
    std::array<std::size_t, sizeof...(Values) + 1> result{};
    std::size_t at = 0;
    std::size_t i = 0;
    ((result[i++] = at = (at + alignof(Values) - 1) / alignof(Values) * alignof(Values), at += sizeof(Values)), ...);
    result[i] = at;
    return result;
  }();
  static constexpr std::size_t size = offsets[sizeof...(Values)];

  static void write([[maybe_unused]] std::byte* to, const Values&... values) noexcept {
    std::size_t i = 0;
    (std::memcpy(to + offsets[i++], std::addressof(values), sizeof(Values)), ...);
  }

  /// A copy of value I.
  template <std::size_t I>
  static auto read(const std::byte* from) noexcept {
    using Value = std::tuple_element_t<I, std::tuple<Values...>>;
    if constexpr (is_flat_value<Value>) {
      return load_flat<Value>(from + offsets[I]);
    } else {  // A callable.
      return callable_of<Value>(from + offsets[I]);
    }
  }
};

}  // namespace procpool::detail
