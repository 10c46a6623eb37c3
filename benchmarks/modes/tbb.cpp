// SPDX-License-Identifier: BSL-1.0

/// @file
/// 20 passes in a row over threads of oneTBB.

#include "../support/tbb_pool.hpp"
#include "modes.hpp"

int main(int argc, char** argv) { return bench::measure_modes<bench::TbbPool>(bench::options(argc, argv)); }
