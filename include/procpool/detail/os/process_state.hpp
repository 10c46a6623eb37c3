// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the kernel shows of another process.

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <string_view>

#include <procpool/detail/os/unique_fd.hpp>

namespace procpool::detail {

/// True if a signal has stopped it (SIGSTOP, SIGTSTP), and no debugger; false where /proc does not tell (proc(5): T).
[[nodiscard]] inline bool is_stopped_by_signal(::pid_t pid) noexcept {
  std::array<char, 32> path{};
  std::snprintf(path.data(), path.size(), "/proc/%d/stat", static_cast<int>(pid));
  const UniqueFd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> start{};  // of the one line: the pid, the name of at most 15 bytes in brackets, the state
  const ssize_t size = ::read(file.get(), start.data(), start.size());
  const std::string_view line(start.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  const std::size_t name_end = line.rfind(") ");
  return name_end != std::string_view::npos && line.substr(name_end + 2, 1) == "T";
}

}  // namespace procpool::detail
