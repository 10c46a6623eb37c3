// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Runs the tests of a program in a child, whose parent adopts what the tests orphan and ends a case that hangs.

#include <sys/types.h>

#include <functional>
#include <string_view>

namespace support {

/// Calls `tests` in a forked child and returns its exit status there. In the parent it never returns: it leaves with
/// the child's status; with 128 + signal if the child was killed; with `something_left` if processes outlived it.
int run_watched(const std::function<int()>& tests);

inline constexpr int something_left = 4;

/// The process below which all processes of this run are, the tests' own among them.
[[nodiscard]] ::pid_t root_of_this_run();

/// Told by the listener: the watcher ends the run if `name` takes longer than a case may.
void case_starts(std::string_view name);
void case_ended();

}  // namespace support
