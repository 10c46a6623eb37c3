// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the kernel shows of another process.

#include <sys/types.h>

#include <cstddef>
#include <string>

#include <procpool/detail/os/read_file.hpp>

namespace procpool::detail {

/// True if a signal has stopped it (SIGSTOP, SIGTSTP), and no debugger; false where /proc does not tell (proc(5): T).
[[nodiscard]] inline bool is_stopped_by_signal(::pid_t pid) {
  const std::string line = read_file("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = line.rfind(") ");
  return name_end != std::string::npos && line.compare(name_end + 2, 1, "T") == 0;
}

}  // namespace procpool::detail
