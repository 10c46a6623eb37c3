// SPDX-License-Identifier: BSL-1.0

/// @file
/// One loop after the other.

#include "busy_loop.hpp"

int main(int argc, char** argv) {
  return bench::measure_busy_loop("serial", bench::options(argc, argv), [] {
    const long first = bench::count_down(bench::decrements);
    return first + bench::count_down(bench::decrements);
  });
}
