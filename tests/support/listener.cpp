// SPDX-License-Identifier: BSL-1.0

/// @file
/// Fails the program if a test case leaves a process, a descriptor or a name in /dev/shm behind.

#define CATCH_CONFIG_EXTERNAL_INTERFACES  // version 2 shows its listeners to those who ask

#include <iostream>
#include <string>
#include <string_view>

#include "catch.hpp"
#include "leftovers.hpp"
#include "watched.hpp"

namespace support {

namespace {

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

// Version 3 gives a pointer here, version 2 the thing itself.
[[maybe_unused]] const std::string& name_of(const Catch::TestCaseInfo& info) { return info.name; }
[[maybe_unused]] const std::string& name_of(const Catch::TestCaseInfo* info) { return info->name; }

Tally counted;
std::string running_case;
bool was_skipped = false;  // the case that runs

class LeftoverListener : public ListenerBase {
 public:
  using ListenerBase::ListenerBase;

  void testCaseStarting(const Catch::TestCaseInfo& info) override {
    ListenerBase::testCaseStarting(info);
    before_ = Belongings::now();
    running_case = info.name;
    was_skipped = false;
    case_starts(info.name);
  }

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    ++counted.cases;
    counted.skipped_cases += was_skipped ? 1 : 0;
    case_ended();
    const auto left = left_since(before_);
    ListenerBase::testCaseEnded(stats);
    if (left.empty()) return;
    ++counted.cases_that_left_something;
    std::cerr << "\ntest case \"" << name_of(stats.testInfo) << "\" left behind:\n";
    for (const auto& line : left) std::cerr << "  " << line << '\n';
  }

 private:
  Belongings before_;
};

}  // namespace

Tally tally() { return counted; }

void skip_case(std::string_view why) {
  was_skipped = true;
  std::cerr << "\nskipped: \"" << running_case << "\": " << why << '\n';
}

}  // namespace support

using support::LeftoverListener;
CATCH_REGISTER_LISTENER(LeftoverListener)
