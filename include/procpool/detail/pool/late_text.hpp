// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What is said of a task that has missed a deadline.

#include <chrono>
#include <cstddef>
#include <string>

#include <procpool/detail/result/task_name.hpp>
#include <procpool/error/message.hpp>

namespace procpool::detail {

/// As `item 3 of task "score" ran longer than its timeout of 250 ms; it was asked to stop`; of a chunk `the chunk of
/// items 0 to 3 of a map`.
[[nodiscard, gnu::cold]] inline std::string late_text(const TaskNote& note, const char* what,
                                                      std::chrono::nanoseconds time, const char* consequence) {
  const char* const units[] = {" ns", " us", " ms", " s"};
  long long count = time.count();
  std::size_t unit = 0;
  for (; unit < 3 && count % 1000 == 0; ++unit) count /= 1000;
  return message({name_of(&note), what, count, units[unit], consequence});
}

}  // namespace procpool::detail
