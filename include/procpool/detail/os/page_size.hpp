// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The size of a page of memory.

#include <unistd.h>

#include <cstddef>

namespace procpool::detail {

/// Bytes, a power of two.
[[nodiscard]] inline std::size_t page_size() noexcept {
  static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace procpool::detail
