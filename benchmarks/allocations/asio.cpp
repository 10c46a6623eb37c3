// SPDX-License-Identifier: BSL-1.0

/// @file
/// Heap allocations of a small task on Asio.

#include "../support/asio_pool.hpp"
#include "allocations.hpp"

int main(int argc, char** argv) { return bench::measure_allocations<bench::AsioPool>(bench::options(argc, argv)); }
