// SPDX-License-Identifier: BSL-1.0

/// @file
/// Equal tasks on two threads of Asio, as std::packaged_task.

#include "../support/asio_pool.hpp"
#include "even_work.hpp"

int main(int argc, char** argv) { return bench::measure_even_work<bench::AsioPool>(bench::options(argc, argv)); }
