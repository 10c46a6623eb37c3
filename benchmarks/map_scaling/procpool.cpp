// SPDX-License-Identifier: BSL-1.0

/// @file
/// pool.map.

#include "../support/procpool_pool.hpp"
#include "map_scaling.hpp"

int main(int argc, char** argv) { return bench::measure_map_scaling<bench::ProcpoolPool>(bench::options(argc, argv)); }
