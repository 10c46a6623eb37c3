// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a test of a limit of the address space must know: the sanitizers reserve terabytes of it for themselves.

#include <unistd.h>

#include <cstddef>
#include <fstream>

namespace support {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool is_sanitized = true;
#elif defined(__has_feature)
inline constexpr bool is_sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool is_sanitized = false;
#endif

/// Bytes that this process has mapped or reserved.
[[nodiscard]] inline std::size_t address_space_in_use() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace support
