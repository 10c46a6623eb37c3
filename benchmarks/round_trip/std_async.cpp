// SPDX-License-Identifier: BSL-1.0

/// @file
/// One task at a time, each on a new thread.

#include "../support/std_async_pool.hpp"
#include "round_trip.hpp"

int main(int argc, char** argv) { return bench::measure_round_trip<bench::StdAsyncPool>(bench::options(argc, argv)); }
