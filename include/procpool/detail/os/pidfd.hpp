// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A descriptor that becomes readable when a process ends (pidfd_open(2)).

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <procpool/detail/os/unique_fd.hpp>

namespace procpool::detail {

/// Closed where the kernel, seccomp or valgrind refuses: the caller then relies on the end of stream of its socket.
[[nodiscard]] inline UniqueFd open_pidfd(pid_t pid) noexcept {
#ifdef SYS_pidfd_open
  return UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))};
#else
  static_cast<void>(pid);
  return UniqueFd{};
#endif
}

}  // namespace procpool::detail
