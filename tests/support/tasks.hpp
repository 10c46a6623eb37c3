// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Tasks and items that many tests use.

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <climits>
#include <cstddef>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace support {

inline constexpr std::size_t mebi = std::size_t{1} << 20;
inline constexpr int for_ever = INT_MAX;  // how often something is granted

inline int same(int x) { return x; }
inline int twice(int x) { return 2 * x; }
inline int refuse_threes(int x) {
  if (x % 10 == 3) throw std::out_of_range("item " + std::to_string(x));
  return x;
}
inline ::pid_t pid_of_worker() { return ::getpid(); }
inline void kill_worker() { ::raise(SIGKILL); }
inline std::string text_of(std::size_t size) { return std::string(size, 'x'); }
inline std::size_t size_of(const std::string& text) { return text.size(); }

/// 0, 1, 2 and so on.
[[nodiscard]] inline std::vector<int> numbers(int count) {
  std::vector<int> items(static_cast<std::size_t>(count));
  std::iota(items.begin(), items.end(), 0);
  return items;
}

}  // namespace support
