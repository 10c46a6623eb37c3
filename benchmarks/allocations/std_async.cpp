// SPDX-License-Identifier: BSL-1.0

/// @file
/// Heap allocations of a small task on a thread of its own.

#include "../support/std_async_pool.hpp"
#include "allocations.hpp"

int main(int argc, char** argv) {
  return bench::measure_allocations<bench::StdAsyncPool>(bench::options(argc, argv), 1'000);
}
