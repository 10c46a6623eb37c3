// SPDX-License-Identifier: BSL-1.0

/// @file
/// Two worker processes from nothing to nothing.

#include "../support/procpool_pool.hpp"
#include "startup.hpp"

int main(int argc, char** argv) { return bench::measure_startup<bench::ProcpoolPool>(bench::options(argc, argv)); }
