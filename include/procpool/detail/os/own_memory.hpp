// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How much memory this process holds, asked again and again.

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include <procpool/detail/os/page_size.hpp>
#include <procpool/detail/os/unique_fd.hpp>

namespace procpool::detail {

/// To be made in the process that asks: the file tells of the one that has opened it.
class OwnMemory {
 public:
  OwnMemory() noexcept : file_(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)) {}

  /// Bytes in memory that are not shared with other processes; 0 where /proc does not tell (proc(5): resident less
  /// shared pages). Takes about a microsecond.
  [[nodiscard]] std::size_t bytes() const noexcept {
    char text[128];
    const ::ssize_t size = ::pread(file_.get(), text, sizeof text - 1, 0);
    if (size <= 0) return 0;
    text[size] = '\0';
    char* rest = text;
    std::strtoull(rest, &rest, 10);  // the whole address space
    const unsigned long long resident = std::strtoull(rest, &rest, 10);
    const unsigned long long shared = std::strtoull(rest, &rest, 10);
    return static_cast<std::size_t>(resident - shared) * page_size();
  }

 private:
  UniqueFd file_;
};

}  // namespace procpool::detail
