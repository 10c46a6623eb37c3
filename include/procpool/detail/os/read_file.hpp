// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Reads the kernel's text files under /proc and /sys.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>

#include <procpool/detail/os/unique_fd.hpp>

namespace procpool::detail {

/// The whole contents of the file at `path`; empty if it cannot be opened, what was read so far if reading fails.
[[nodiscard]] inline std::string read_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string contents;
  std::array<char, 4096> piece;
  for (;;) {
    const ::ssize_t bytes = ::read(file.get(), piece.data(), piece.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return contents;
    contents.append(piece.data(), static_cast<std::size_t>(bytes));
  }
}

}  // namespace procpool::detail
