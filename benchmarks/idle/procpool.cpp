// SPDX-License-Identifier: BSL-1.0

/// @file
/// CPU time of an idle pool: user's process, zygote and two workers.

#include "../support/procpool_pool.hpp"
#include "idle.hpp"

int main(int argc, char** argv) { return bench::measure_idle<bench::ProcpoolPool>(bench::options(argc, argv)); }
