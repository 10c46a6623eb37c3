// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Looks for addresses of this process's private memory in what a function object captured.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <typeinfo>

#include <procpool/detail/os/private_memory.hpp>
#include <procpool/detail/os/type_name.hpp>
#include <procpool/error/error.hpp>
#include <procpool/error/message.hpp>
#include <procpool/serial/pointer_free.hpp>

namespace procpool::detail {

[[noreturn, gnu::cold]] inline void refuse_null() {
  throw UsageError("a null pointer was given as the function of a task");
}

[[noreturn, gnu::cold]] inline void refuse_capture(const std::type_info& type, std::size_t offset, std::size_t size) {
  constexpr const char* reason =
      ": something was captured by reference or `this`, and a worker has other things there. Capture by value; bind "
      "large values with partial(f, values...); or say from_snapshot(f) if memory as it was when the pool was made is "
      "meant, or if these bytes are no address";
  throw UsageError(
      message({"the function object ", type_name(type), " holds an address of this process's private memory, at byte ",
               offset, " of ", size, reason}));
}

/// Bytes of a `T` that hold its values: behind them there may be padding.
template <class T>
consteval std::size_t size_without_tail() {
  struct Followed {
    [[no_unique_address]] T object;
    std::byte next;
  };
  return sizeof(Followed) == sizeof(T) ? sizeof(T) - 1 : sizeof(T);
}

/// Throws UsageError if an aligned word of `object` is such an address. What a compiler leaves in padding is not looked
/// at, except, by compilers without __builtin_clear_padding, between two members.
template <class T>
void check_captured_words(const T& object) {
  constexpr std::size_t word_bytes = sizeof(std::uintptr_t);
  if constexpr (!holds_no_address<T> && alignof(T) >= word_bytes) {
    alignas(T) std::array<std::byte, sizeof(T)> bytes;
    std::memcpy(bytes.data(), &object, sizeof(T));
#if __has_builtin(__builtin_clear_padding)
    if constexpr (__is_trivially_copyable(T)) __builtin_clear_padding(reinterpret_cast<T*>(bytes.data()));
#endif
    for (std::size_t offset = 0; offset + word_bytes <= size_without_tail<T>(); offset += word_bytes) {
      std::uintptr_t word = 0;
      std::memcpy(&word, bytes.data() + offset, word_bytes);
      if (points_into_private_writable_memory(word)) refuse_capture(typeid(T), offset, sizeof(T));
    }
  }
}

}  // namespace procpool::detail
