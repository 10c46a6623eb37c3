// SPDX-License-Identifier: BSL-1.0

/// @file
/// A plain loop.

#include "../support/serial_pool.hpp"
#include "map_scaling.hpp"

int main(int argc, char** argv) { return bench::measure_map_scaling<bench::SerialPool>(bench::options(argc, argv)); }
