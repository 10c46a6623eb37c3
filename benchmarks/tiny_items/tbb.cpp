// SPDX-License-Identifier: BSL-1.0

/// @file
/// By oneTBB's parallel_for on two threads.

#include "../support/tbb_pool.hpp"
#include "tiny_items.hpp"

int main(int argc, char** argv) { return bench::measure_tiny_items<bench::TbbPool>(bench::options(argc, argv)); }
