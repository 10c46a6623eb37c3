// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Whether this program is compiled for a sanitizer that handles crashes itself.

namespace procpool::detail {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__SANITIZE_HWADDRESS__)
inline constexpr bool is_sanitized = true;
#elif defined(__has_feature)
inline constexpr bool is_sanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer);
#else
inline constexpr bool is_sanitized = false;
#endif

}  // namespace procpool::detail
