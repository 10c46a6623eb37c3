// SPDX-License-Identifier: BSL-1.0

/// @file
/// 20 passes in a row over a pool of processes.

#include "../support/procpool_pool.hpp"
#include "modes.hpp"

int main(int argc, char** argv) { return bench::measure_modes<bench::ProcpoolPool>(bench::options(argc, argv)); }
