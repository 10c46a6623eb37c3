// SPDX-License-Identifier: BSL-1.0

/// @file
/// Small tasks, a thread each; fewer, since the stacks of all lie in memory until the first get.

#include "../support/std_async_pool.hpp"
#include "bulk.hpp"

int main(int argc, char** argv) { return bench::measure_bulk<bench::StdAsyncPool>(bench::options(argc, argv), 10'000); }
