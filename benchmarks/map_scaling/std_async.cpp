// SPDX-License-Identifier: BSL-1.0

/// @file
/// A thread for each worker's share of the items.

#include "../support/std_async_pool.hpp"
#include "map_scaling.hpp"

int main(int argc, char** argv) { return bench::measure_map_scaling<bench::StdAsyncPool>(bench::options(argc, argv)); }
