// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// memcpy and memmove that count what they copy. They are defined here: one file of a program includes this. A
/// sanitizer has its own, and then nothing is counted.

#include <cstddef>
#include <cstring>

#include <procpool/detail/os/sanitizers.hpp>

namespace support {

/// Bytes that the calling thread has copied; in a worker, what the worker has.
inline thread_local std::size_t copied = 0;

inline constexpr bool counts_copies = !procpool::detail::is_sanitized;

}  // namespace support

#ifdef __has_feature
#define SUPPORT_HAS_FEATURE(name) __has_feature(name)
#else
#define SUPPORT_HAS_FEATURE(name) 0
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !SUPPORT_HAS_FEATURE(address_sanitizer) && \
    !SUPPORT_HAS_FEATURE(thread_sanitizer) && !SUPPORT_HAS_FEATURE(memory_sanitizer)

// Written so that no compiler finds a memcpy in them.
extern "C" void* memcpy(void* to, const void* from, std::size_t count) noexcept {
  support::copied += count;
  void* at = to;
  asm volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
  return to;
}
extern "C" void* memmove(void* to, const void* from, std::size_t count) noexcept {
  const auto* begin = static_cast<const std::byte*>(from);
  const bool is_behind = to > begin && to < begin + count;
  if (!is_behind) return memcpy(to, from, count);
  support::copied += count;
  void* at = static_cast<std::byte*>(to) + count - 1;
  from = begin + count - 1;
  asm volatile("std; rep movsb; cld" : "+D"(at), "+S"(from), "+c"(count) : : "memory");
  return to;
}

#endif
#undef SUPPORT_HAS_FEATURE
