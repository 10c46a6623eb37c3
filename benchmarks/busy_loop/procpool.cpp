// SPDX-License-Identifier: BSL-1.0

/// @file
/// Each loop on a worker process.

#include "../support/procpool_pool.hpp"
#include "busy_loop.hpp"

int main(int argc, char** argv) {
  bench::ProcpoolPool pool{2};
  return bench::measure_busy_loop("procpool", bench::options(argc, argv), [&pool] {
    auto first = pool.submit(bench::count_down, bench::decrements);
    auto second = pool.submit(bench::count_down, bench::decrements);
    return first.get() + second.get();
  });
}
