// SPDX-License-Identifier: BSL-1.0

/// @file
/// Blocks of items posted to Asio's thread_pool.

#include "../support/asio_pool.hpp"
#include "map_scaling.hpp"

int main(int argc, char** argv) { return bench::measure_map_scaling<bench::AsioPool>(bench::options(argc, argv)); }
