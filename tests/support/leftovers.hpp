// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a test case leaves behind: processes, descriptors, names in /dev/shm.

#include <sys/types.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace support {

/// What there is at some moment of this run.
class Belongings {
 public:
  [[nodiscard]] static Belongings now();

  /// One line for each thing that is here and was not `before`.
  [[nodiscard]] std::vector<std::string> since(const Belongings& before) const;

 private:
  std::map<::pid_t, std::string>
      processes_;  // descendants of the run but the caller; a dead one that nobody waited for too
  std::map<int, std::string> descriptors_;  // of the caller, and what they stand for
  std::set<std::string> shared_memory_;     // names in /dev/shm
};

/// What is left since `before`, once it has had two seconds to go.
[[nodiscard]] std::vector<std::string> left_since(const Belongings& before);

/// What the listener has counted.
struct Tally {
  int cases = 0;
  int cases_that_left_something = 0;
};

[[nodiscard]] Tally tally();

}  // namespace support
