// SPDX-License-Identifier: BSL-1.0

/// @file
/// CPU time of two idle threads of oneTBB.

#include "../support/tbb_pool.hpp"
#include "idle.hpp"

int main(int argc, char** argv) { return bench::measure_idle<bench::TbbPool>(bench::options(argc, argv)); }
