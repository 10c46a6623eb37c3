// SPDX-License-Identifier: BSL-1.0

/// @file
/// Equal tasks on two worker processes.

#include "../support/procpool_pool.hpp"
#include "even_work.hpp"

int main(int argc, char** argv) { return bench::measure_even_work<bench::ProcpoolPool>(bench::options(argc, argv)); }
