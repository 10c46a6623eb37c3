// SPDX-License-Identifier: BSL-1.0

/// @file
/// Small tasks on two threads of Asio, as std::packaged_task.

#include "../support/asio_pool.hpp"
#include "bulk.hpp"

int main(int argc, char** argv) { return bench::measure_bulk<bench::AsioPool>(bench::options(argc, argv)); }
