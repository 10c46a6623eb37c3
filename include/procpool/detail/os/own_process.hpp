// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The threads of this process, and its children: its own and those that it adopted.

#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <procpool/detail/os/read_file.hpp>
#include <procpool/detail/os/unique_fd.hpp>

namespace procpool::detail {

/// Calls `visit(pid)` for each child that /proc/self/task/<tid>/children lists (proc(5)), if this process has one
/// thread; for none where /proc is missing, or shows another system of processes than this one's. Takes no memory.
template <class Visit>
void for_each_child_of_this_process(Visit visit) noexcept {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/task/%d/children", static_cast<int>(::getpid()));
  const UniqueFd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> piece;
  pid_t pid = 0;
  for (;;) {
    const ::ssize_t bytes = ::read(file.get(), piece.data(), piece.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return;
    for (const char c : std::string_view(piece.data(), static_cast<std::size_t>(bytes))) {
      if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
        pid = pid * 10 + (c - '0');
      } else if (pid != 0) {
        visit(pid);
        pid = 0;
      }
    }
  }
}

/// A child of this process, where no list is to be had; 0: it has none. It asks of one number after the other whether
/// it is a child, from this process's own upwards, as they are given out: a microsecond for each.
[[nodiscard]] inline pid_t search_child() noexcept {
  constexpr pid_t largest_pid = 1 << 22;  // PID_MAX_LIMIT
  const auto has_child = [](idtype_t kind, pid_t pid) {
    siginfo_t unused{};
    return ::waitid(kind, static_cast<id_t>(pid), &unused, WEXITED | WNOHANG | WNOWAIT) == 0;
  };
  if (!has_child(P_ALL, 0)) return 0;
  pid_t pid = ::getpid();
  while (!has_child(P_PID, pid)) pid = pid % largest_pid + 1;
  return pid;
}

/// The threads of this process; 1 where /proc does not tell.
[[nodiscard]] inline std::size_t threads_of_this_process() {
  const std::string status = read_file("/proc/self/status");
  const std::size_t line = status.find("\nThreads:");
  if (line == std::string::npos) return 1;
  return static_cast<std::size_t>(std::strtoul(status.c_str() + line + 9, nullptr, 10));
}

}  // namespace procpool::detail
