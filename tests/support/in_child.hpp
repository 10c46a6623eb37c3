// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Asks a question in a forked child.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

/// Forks, and returns what `question()` says in the child. A child that dies says false.
template <class Question>
[[nodiscard]] bool true_in_child(Question question) {
  const ::pid_t child = ::fork();
  if (child == 0) {
    bool answer = false;
    try {
      answer = question();
    } catch (...) {
    }
    ::_exit(answer ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}
