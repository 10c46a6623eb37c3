// SPDX-License-Identifier: BSL-1.0

/// @file
/// Heap allocations of a small task on oneTBB; what TBB takes from an allocator of its own is not seen.

#include "../support/tbb_pool.hpp"
#include "allocations.hpp"

int main(int argc, char** argv) { return bench::measure_allocations<bench::TbbPool>(bench::options(argc, argv)); }
