// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How much of a pool's shared memory the system has given it.

#include <sys/stat.h>

#include <cstddef>

#include <procpool/detail/memory/shared_mapping.hpp>

namespace support {

[[nodiscard]] inline std::size_t resident_bytes(const procpool::detail::SharedMapping& mapping) {
  constexpr std::size_t block = 512;  // stat(2)
  struct stat file {};
  return ::fstat(mapping.descriptor(), &file) == 0 ? static_cast<std::size_t>(file.st_blocks) * block : 0;
}

}  // namespace support
