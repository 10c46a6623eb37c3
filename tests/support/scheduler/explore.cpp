// SPDX-License-Identifier: BSL-1.0

#include "explore.hpp"

#include <cstdlib>
#include <string>

#include "../catch.hpp"
#include "../patience.hpp"
#include "mutexes.hpp"

namespace model {

namespace {

void run_one(std::uint64_t seed, const Manner& manner, const std::function<void(Run&)>& scenario, Explored& explored) {
  const int orphans = Mutexes::orphaned();
  Run run(seed, manner);
  const std::string failure = run([&] { scenario(run); });
  ++explored.runs;
  explored.steps += run.steps();
  explored.deaths += static_cast<std::uint64_t>(run.deaths());
  explored.deaths_with_a_mutex += static_cast<std::uint64_t>(Mutexes::orphaned() - orphans);
  if (failure.empty()) return;
  FAIL("seed " << seed << ", after " << run.steps() << " steps and " << run.deaths() << " deaths: " << failure
               << "; to repeat it alone: PROCPOOL_TEST_SEED=" << seed);
}

}  // namespace

Explored explore(std::uint64_t runs, const Manner& manner, const std::function<void(Run&)>& scenario) {
  Explored explored;
  // What is done once in a program is done: from now on all that happens in a run depends on its seed.
  run_one(0, manner, scenario, explored);
  if (const char* const given = std::getenv("PROCPOOL_TEST_SEED")) {
    Run::trace_from_now_on(std::getenv("PROCPOOL_TEST_TRACE") != nullptr);
    run_one(std::strtoull(given, nullptr, 10), manner, scenario, explored);
    return explored;
  }
  explored.is_whole = true;
  const std::uint64_t last = support::is_full_run() ? 20 * runs : runs;
  for (std::uint64_t seed = 1; seed <= last; ++seed) run_one(seed, manner, scenario, explored);
  return explored;
}

}  // namespace model
