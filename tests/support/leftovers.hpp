// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a test case leaves behind: processes, descriptors, names in /dev/shm.

#include <sys/types.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
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
  int skipped_cases = 0;
};

[[nodiscard]] Tally tally();

/// Says that the test case which runs cannot do so on this machine, and why; the case then returns. Its program, if
/// nothing fails, ends by `something_skipped`.
void skip_case(std::string_view why);

inline constexpr int something_skipped = 77;  // ctest is told so in CMakeLists.txt

}  // namespace support
