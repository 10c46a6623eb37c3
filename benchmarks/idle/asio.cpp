// SPDX-License-Identifier: BSL-1.0

/// @file
/// CPU time of two idle threads of Asio.

#include "../support/asio_pool.hpp"
#include "idle.hpp"

int main(int argc, char** argv) { return bench::measure_idle<bench::AsioPool>(bench::options(argc, argv)); }
