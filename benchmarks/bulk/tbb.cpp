// SPDX-License-Identifier: BSL-1.0

/// @file
/// Small tasks on two threads of oneTBB, by enqueue with std::packaged_task.

#include "../support/tbb_pool.hpp"
#include "bulk.hpp"

int main(int argc, char** argv) { return bench::measure_bulk<bench::TbbPool>(bench::options(argc, argv)); }
