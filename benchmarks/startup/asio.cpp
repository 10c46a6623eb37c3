// SPDX-License-Identifier: BSL-1.0

/// @file
/// Two threads of Asio from nothing to nothing.

#include "../support/asio_pool.hpp"
#include "startup.hpp"

int main(int argc, char** argv) { return bench::measure_startup<bench::AsioPool>(bench::options(argc, argv)); }
