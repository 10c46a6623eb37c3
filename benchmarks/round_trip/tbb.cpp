// SPDX-License-Identifier: BSL-1.0

/// @file
/// One task at a time on one thread of oneTBB.

#include "../support/tbb_pool.hpp"
#include "round_trip.hpp"

int main(int argc, char** argv) { return bench::measure_round_trip<bench::TbbPool>(bench::options(argc, argv)); }
