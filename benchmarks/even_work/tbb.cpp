// SPDX-License-Identifier: BSL-1.0

/// @file
/// Equal tasks on two threads of oneTBB, by enqueue with std::packaged_task.

#include "../support/tbb_pool.hpp"
#include "even_work.hpp"

int main(int argc, char** argv) { return bench::measure_even_work<bench::TbbPool>(bench::options(argc, argv)); }
