// SPDX-License-Identifier: BSL-1.0

/// @file
/// Heap allocations of a small task in the user's process and in its worker.

#include "../support/procpool_pool.hpp"
#include "allocations.hpp"

int main(int argc, char** argv) { return bench::measure_allocations<bench::ProcpoolPool>(bench::options(argc, argv)); }
