// SPDX-License-Identifier: BSL-1.0

/// @file
/// A plain loop.

#include "../support/serial_pool.hpp"
#include "blocks.hpp"

int main(int argc, char** argv) { return bench::measure_blocks<bench::SerialPool>(bench::options(argc, argv)); }
