// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A process of a user's, forked from the test, with pools of its own; and what is left of all its kin.

#include <errno.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "patience.hpp"
#include "process_tree.hpp"
#include "watched.hpp"

namespace support {

/// Runs `program()` in a child of the test, whose exit status is what it returns; 77 if it throws.
class UserProcess {
 public:
  template <class Program>
  explicit UserProcess(Program program) : pid_((std::fflush(stdout), std::cout.flush(), ::fork())) {
    if (pid_ != 0) return;
    int status = 77;
    try {
      status = program();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the user's process: %s\n", error.what());
    }
    ::_exit(status);
  }
  UserProcess(const UserProcess&) = delete;
  UserProcess& operator=(const UserProcess&) = delete;
  ~UserProcess() {
    if (is_there_) static_cast<void>(kill());
  }

  [[nodiscard]] ::pid_t pid() const noexcept { return pid_; }

  /// Waits for its end: as waitpid(2) tells it.
  [[nodiscard]] int wait() noexcept {
    int status = -1;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    is_there_ = false;
    return status;
  }
  /// The same after SIGKILL.
  [[nodiscard]] int kill() noexcept {
    ::kill(pid_, SIGKILL);
    return wait();
  }

 private:
  ::pid_t pid_;
  bool is_there_ = true;
};

/// Waits until this run consists of the test and `others` alone; a line for each process that does not go.
[[nodiscard]] inline std::string kin_that_stays(const std::vector<::pid_t>& others = {}) {
  std::string lines;
  static_cast<void>(eventually(
      [&] {
        lines.clear();
        for (const ProcessEntry& process : descendants_of(root_of_this_run())) {
          const bool is_known =
              process.pid == ::getpid() || std::find(others.begin(), others.end(), process.pid) != others.end();
          if (!is_known) lines += process.text() + "\n";
        }
        return lines.empty();
      },
      std::chrono::seconds(10)));
  return lines;
}

}  // namespace support
