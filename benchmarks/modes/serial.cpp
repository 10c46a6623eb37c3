// SPDX-License-Identifier: BSL-1.0

/// @file
/// What the machine's own speed varies by: the caller runs every task itself.

#include "../support/serial_pool.hpp"
#include "modes.hpp"

int main(int argc, char** argv) { return bench::measure_modes<bench::SerialPool>(bench::options(argc, argv)); }
