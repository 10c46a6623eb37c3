// SPDX-License-Identifier: BSL-1.0

/// @file
/// By oneTBB's parallel_for on two threads.

#include "../support/tbb_pool.hpp"
#include "blocks.hpp"

int main(int argc, char** argv) { return bench::measure_blocks<bench::TbbPool>(bench::options(argc, argv)); }
