// SPDX-License-Identifier: BSL-1.0

/// @file
/// parallel_for of oneTBB.

#include "../support/tbb_pool.hpp"
#include "map_scaling.hpp"

int main(int argc, char** argv) { return bench::measure_map_scaling<bench::TbbPool>(bench::options(argc, argv)); }
