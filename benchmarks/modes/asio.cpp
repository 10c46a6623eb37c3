// SPDX-License-Identifier: BSL-1.0

/// @file
/// 20 passes in a row over threads of Asio.

#include "../support/asio_pool.hpp"
#include "modes.hpp"

int main(int argc, char** argv) { return bench::measure_modes<bench::AsioPool>(bench::options(argc, argv)); }
