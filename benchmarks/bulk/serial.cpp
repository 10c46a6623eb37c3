// SPDX-License-Identifier: BSL-1.0

/// @file
/// What a future costs if the caller runs the task itself.

#include "../support/serial_pool.hpp"
#include "bulk.hpp"

int main(int argc, char** argv) { return bench::measure_bulk<bench::SerialPool>(bench::options(argc, argv)); }
