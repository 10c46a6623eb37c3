// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A descriptor that becomes readable when a process ends (pidfd_open(2)), and reaches no other process.

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

/// Surely to the process that the descriptor was opened for; false if it has gone, or may not be signalled by this one.
inline bool send_signal(const UniqueFd& process, int signal) noexcept {
#ifdef SYS_pidfd_send_signal
  return ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0U) == 0;
#else
  static_cast<void>(process), static_cast<void>(signal);
  return false;
#endif
}

}  // namespace procpool::detail
