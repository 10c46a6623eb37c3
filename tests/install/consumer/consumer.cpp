// SPDX-License-Identifier: BSL-1.0

/// @file
/// The least that shows that a user's program compiles, links and runs.

#include <vector>

#include <procpool/procpool.hpp>

int main() {
  procpool::ProcessPool pool{2};
  const std::vector<int> squares = pool.map([](int n) { return n * n; }, {1, 2, 3});
  return squares == std::vector{1, 4, 9} ? 0 : 1;
}
