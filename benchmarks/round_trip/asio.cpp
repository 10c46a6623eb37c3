// SPDX-License-Identifier: BSL-1.0

/// @file
/// One task at a time on one thread of Asio.

#include "../support/asio_pool.hpp"
#include "round_trip.hpp"

int main(int argc, char** argv) { return bench::measure_round_trip<bench::AsioPool>(bench::options(argc, argv)); }
