// SPDX-License-Identifier: BSL-1.0

/// @file
/// The main function of every test program: Catch2 in a process of its own, watched by its parent.

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_session.hpp>
#else
// A crash in a worker is a worker's, and the watcher tells where one of the test program's own came from.
#define CATCH_CONFIG_NO_POSIX_SIGNALS
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "leftovers.hpp"
#include "watched.hpp"

namespace {

constexpr int nothing_ran = 3;

int run_tests(int argc, char** argv) {
  const int failures = Catch::Session().run(argc, argv);
  if (failures != 0) return EXIT_FAILURE;  // Their number may be what another status stands for.
  const support::Tally tally = support::tally();
  if (tally.cases == 0) std::cerr << "no test case was selected\n";  // It would pass for ever.
  if (tally.cases == 0) return nothing_ran;
  if (tally.cases_that_left_something != 0) return support::something_left;
  if (tally.skipped_cases == 0) return EXIT_SUCCESS;
  std::cerr << tally.skipped_cases << " of " << tally.cases << " test cases were skipped\n";
  return support::something_skipped;
}

/// Whether Catch2 is only asked what it has.
bool is_question(std::string_view argument) {
  return argument.starts_with("--list") || argument == "-l" || argument == "-t" || argument == "-h" ||
         argument == "-?" || argument == "--help";
}

}  // namespace

int main(int argc, char** argv) {
  rlimit no_core{};
  ::getrlimit(RLIMIT_CORE, &no_core);
  no_core.rlim_cur = 0;  // Tests crash on purpose; a core file would cost a second each.
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (std::any_of(argv, argv + argc, is_question)) return Catch::Session().run(argc, argv);
  if (std::getenv("PROCPOOL_TEST_UNWATCHED") != nullptr) return run_tests(argc, argv);  // For a debugger.
  return support::run_watched([&] { return run_tests(argc, argv); });
}
