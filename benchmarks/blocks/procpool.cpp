// SPDX-License-Identifier: BSL-1.0

/// @file
/// By ProcessPool::map_blocks on two worker processes.

#include "../support/procpool_pool.hpp"
#include "blocks.hpp"

int main(int argc, char** argv) { return bench::measure_blocks<bench::ProcpoolPool>(bench::options(argc, argv)); }
