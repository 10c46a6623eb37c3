// SPDX-License-Identifier: BSL-1.0

/// @file
/// Each loop on a new thread.

#include <thread>

#include "busy_loop.hpp"

int main(int argc, char** argv) {
  return bench::measure_busy_loop("threads", bench::options(argc, argv), [] {
    long ends[2] = {-1, -1};
    std::thread first{[&ends] { ends[0] = bench::count_down(bench::decrements); }};
    std::thread second{[&ends] { ends[1] = bench::count_down(bench::decrements); }};
    first.join();
    second.join();
    return ends[0] + ends[1];
  });
}
