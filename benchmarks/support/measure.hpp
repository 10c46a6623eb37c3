// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Stopwatch, median and the line of JSON that each measurement prints.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// How thorough a program is to be; `--quick` only shows that it works.
struct Options {
  bool quick = false;

  [[nodiscard]] int count(int thorough, int hasty) const { return quick ? hasty : thorough; }
};

[[nodiscard]] inline Options options(int argc, char** argv) {
  Options result;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view{argv[i]} != "--quick") {
      std::fprintf(stderr, "%s: unknown argument %s; the only one is --quick\n", argv[0], argv[i]);
      std::exit(2);
    }
    result.quick = true;
  }
  return result;
}

/// Nanoseconds since it was made or last asked.
class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const auto passed = std::chrono::duration<double, std::nano>(now - start_).count();
    start_ = now;
    return passed;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// The middle of `values`, or the mean of the two in the middle. `values` is not empty.
[[nodiscard]] inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// What a rival has to say on one question.
struct Report {
  std::string_view question, rival;

  /// Prints one measurement: `unit` is "ns", "ratio", "share" (of what is possible), "KB" or "allocations"; its value
  /// is the median of `runs`. A `label` of the form "2 workers: 10 µs" is shown as column "10 µs" of a block
  /// "2 workers".
  void print(std::string_view label, std::string_view unit, const std::vector<double>& runs) const;
};

inline void Report::print(std::string_view label, std::string_view unit, const std::vector<double>& runs) const {
  const auto text = [](std::string_view key, std::string_view value) {
    std::printf("\"%.*s\": \"%.*s\", ", static_cast<int>(key.size()), key.data(), static_cast<int>(value.size()),
                value.data());
  };
  std::printf("{");
  text("question", question);
  text("rival", rival);
  text("case", label);
  text("unit", unit);
  std::printf("\"value\": %.9g, \"runs\": [", median(runs));
  for (std::size_t i = 0; i < runs.size(); ++i) std::printf("%s%.9g", i == 0 ? "" : ", ", runs[i]);
  std::printf("]}\n");
  std::fflush(stdout);
}

/// Ends the program if a rival computed something else than was asked: a wrong answer has no speed.
inline void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "wrong result: %.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(1);
}

}  // namespace bench
