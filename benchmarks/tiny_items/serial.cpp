// SPDX-License-Identifier: BSL-1.0

/// @file
/// A plain loop.

#include "../support/serial_pool.hpp"
#include "tiny_items.hpp"

int main(int argc, char** argv) { return bench::measure_tiny_items<bench::SerialPool>(bench::options(argc, argv)); }
