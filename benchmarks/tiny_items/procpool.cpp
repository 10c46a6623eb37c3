// SPDX-License-Identifier: BSL-1.0

/// @file
/// By ProcessPool::map on two worker processes.

#include "../support/procpool_pool.hpp"
#include "tiny_items.hpp"

int main(int argc, char** argv) { return bench::measure_tiny_items<bench::ProcpoolPool>(bench::options(argc, argv)); }
