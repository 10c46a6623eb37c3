// SPDX-License-Identifier: BSL-1.0

/// @file
/// Two threads of oneTBB from nothing to nothing.

#include "../support/tbb_pool.hpp"
#include "startup.hpp"

int main(int argc, char** argv) { return bench::measure_startup<bench::TbbPool>(bench::options(argc, argv)); }
