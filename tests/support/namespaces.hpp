// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Programs that see another system than the test does: file systems and process numbers of their own.

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "user_process.hpp"

namespace support {

/// What a user's process returns that may not do what the test wants of it.
inline constexpr int not_allowed_here = 78;

/// In a user's process: whatever it mounts from then on is its own.
[[nodiscard]] inline bool leave_the_mounts_of_the_system() noexcept {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

/// In a user's process: runs `program()` as process 1 of a system of processes of its own, which ends with it, and
/// returns what it returns; 128 + signal if it was killed.
template <class Program>
[[nodiscard]] int as_first_process(Program program) {
  if (!leave_the_mounts_of_the_system() || ::unshare(CLONE_NEWPID) != 0) return not_allowed_here;
  const ::pid_t first = ::fork();
  if (first < 0) return not_allowed_here;
  if (first == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::mount("proc", "/proc", "proc", 0, nullptr) != 0) ::_exit(not_allowed_here);
    int status = 77;
    try {
      status = program();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the first process: %s\n", error.what());
    }
    ::_exit(status);
  }
  int status = -1;
  if (::waitpid(first, &status, 0) != first) return 76;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace support
