// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Runs a scenario under one seed after the other, and says which one fails.

#include <cstdint>
#include <functional>

#include "run.hpp"

namespace model {

/// What all runs of a scenario came to.
struct Explored {
  bool is_whole = false;  // not one seed alone
  std::uint64_t runs = 0;
  std::uint64_t steps = 0;
  std::uint64_t deaths = 0;
  std::uint64_t deaths_with_a_mutex = 0;  // of whom some held one
};

/// `runs` interleavings of `scenario`; twenty times as many in the long form of the tests. The first that fails ends
/// the test case. PROCPOOL_TEST_SEED names the only seed to run, and with PROCPOOL_TEST_TRACE its steps are printed.
Explored explore(std::uint64_t runs, const Manner& manner, const std::function<void(Run&)>& scenario);

}  // namespace model
