// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include <procpool/detail/pool/progress_line.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::columns_of;
using procpool::detail::text_of;

namespace {

std::string line_of(std::size_t done, std::size_t total, std::string_view label, double elapsed,
                    std::size_t columns = 80) {
  return text_of({done, total, label, elapsed, columns});
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a line shows label, bar, percentage, count, rate and time left") {
  CHECK(line_of(500, 1000, "score", 10) == "score ################.................  50 %  500/1000  50/s  0:10 left");
}

TEST_CASE("before anything is done a line knows no rate") {
  CHECK(line_of(0, 4, "", 3) == ".......................................   0 %  0/4");
}

TEST_CASE("a complete line shows the time that it took") {
  CHECK(line_of(4, 4, "", 2) == "####################################### 100 %  4/4  2.0/s  0:02");
}

TEST_CASE("100 % is shown only when all is done") { CHECK(contains(line_of(999'999, 1'000'000, "", 1), " 99 %")); }

TEST_CASE("without a total a line shows what is done, the rate and the time") {
  CHECK(line_of(4200, 0, "walk", 60) == "walk 4200  70/s  1:00");
}

TEST_CASE("more done than the total is complete") {
  CHECK(line_of(5, 4, "", 2) == "####################################### 100 %  5/4  2.5/s  0:02");
}

TEST_CASE("rates and times are written for people") {
  CHECK(contains(line_of(1, 10, "", 20), "  20.0 s each  3:00 left"));
  CHECK(contains(line_of(100'000, 0, "", 1), "  100k/s  0:01"));
  CHECK(contains(line_of(5'000'000, 0, "", 1), "  5.0M/s"));
  CHECK(contains(line_of(5'000'000'000'000'000, 0, "", 1), "  5000000G/s"));
  CHECK(contains(line_of(1, 10, "", 3600), "  9:00:00 left"));
}

TEST_CASE("a line never is longer than the terminal is wide") {
  const std::string label = GENERATE(as<std::string>(), "", "score", "a label of some length", std::string(300, 'x'));
  const std::size_t done = GENERATE(0U, 3U, 123'456'789U, 1'000'000'000U);
  const std::size_t total = GENERATE(0U, 1'000'000'000U);
  for (std::size_t columns = 5; columns < 200; ++columns) {
    const std::string line = text_of({done, total, label, 12345, columns, true});
    CAPTURE(columns, line);
    if (columns_of(line) > std::max(columns, columns_of(std::to_string(done)))) FAIL();
  }
  SUCCEED();
}

TEST_CASE("where there is little room, the bar is left out first, then the label's end") {
  CHECK(line_of(500, 1000, "long label", 10, 60) == "long label ########........  50 %  500/1000  50/s  0:10 left");
  CHECK(line_of(500, 1000, "long label", 10, 47) == "long label  50 %  500/1000  50/s  0:10 left");
  CHECK(line_of(500, 1000, "long label", 10, 40) == "long la  50 %  500/1000  50/s  0:10 left");
  CHECK(line_of(500, 1000, "long label", 10, 26) == "long  50 %  500/1000  50/s");
  CHECK(line_of(500, 1000, "long label", 10, 5) == " 50 %");
}

TEST_CASE("the bar keeps its length while the numbers grow") {
  const std::string early = text_of({1, 99'000, "x", 0.5, 79, false});
  const std::string late = text_of({98'999, 99'000, "x", 500, 79, false});
  CHECK(early.find("   0 %") == late.find("  99 %"));
}

TEST_CASE("a label cannot break the line, nor is a character of it cut in two") {
  CHECK(contains(line_of(1, 2, "a\nb\033c", 1), "a b c "));
  CHECK(contains(line_of(1, 2, "größe", 1, 34), "größe  50 %"));
  CHECK(contains(line_of(1, 2, "größe", 1, 31), "gr  50 %"));
  CHECK(contains(line_of(1, 2, "größe", 1, 32), "grö  50 %"));
}

TEST_CASE("where text is UTF-8 the bar is made of lines") {
  const std::string line = text_of({1, 2, "", 1, 44, true});
  CHECK(contains(line, "━━━━"));
  CHECK(contains(line, "━─"));
  CHECK_FALSE(contains(line, "#"));
}
