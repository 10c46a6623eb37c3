// SPDX-License-Identifier: BSL-1.0

/// @file
/// Small tasks on two worker processes.

#include "../support/procpool_pool.hpp"
#include "bulk.hpp"

int main(int argc, char** argv) { return bench::measure_bulk<bench::ProcpoolPool>(bench::options(argc, argv)); }
