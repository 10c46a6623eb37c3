// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The processes that descend from a given one, as /proc shows them.

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace support {

/// A process at some moment.
struct ProcessEntry {
  ::pid_t pid = 0;
  ::pid_t parent = 0;
  char state = '?';  ///< as in proc(5): R, S, D, Z, T, …
  std::string name;

  /// `4711 "procpool-worker", state S, child of 4700, in futex_wait_queue`.
  [[nodiscard]] std::string text() const;
};

/// All processes of this machine that may be seen, by pid.
[[nodiscard]] std::map<::pid_t, ProcessEntry> all_processes();

/// Whether the kernel shows it as stopped.
[[nodiscard]] bool is_stopped(::pid_t pid);

/// The descendants of `root`, without `root` itself. A process that loses its parent while this looks may be missed.
[[nodiscard]] std::vector<ProcessEntry> descendants_of(::pid_t root);

}  // namespace support
