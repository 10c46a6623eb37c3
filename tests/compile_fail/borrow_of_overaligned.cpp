// expect: aligned to more than the 64 bytes.*Take it with get()
// SPDX-License-Identifier: BSL-1.0

#include <vector>

#include <procpool/future/future.hpp>

struct alignas(128) Line {
  int words[32] = {};
};

void read(procpool::Future<std::vector<Line>> lines) { static_cast<void>(lines.borrow()); }
