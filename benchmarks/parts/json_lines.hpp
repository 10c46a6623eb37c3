// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Prints what Google Benchmark measures as the other programs print theirs.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "../support/measure.hpp"

namespace bench {

/// A benchmark named "rival/case" is a measurement of that rival; each of its repetitions is one run.
class JsonLines : public benchmark::BenchmarkReporter {
 public:
  explicit JsonLines(std::string question) : question_{std::move(question)} {}

  bool ReportContext(const Context& /*machine*/) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    std::map<std::string, std::vector<double>> times;
    for (const Run& run : runs) {
      require(!run.error_occurred, run.error_message);
      if (run.run_type == Run::RT_Iteration) times[run.run_name.function_name].push_back(run.GetAdjustedRealTime());
    }
    for (const auto& [name, values] : times) {
      const auto slash = name.find('/');
      Report{question_, name.substr(0, slash)}.print(name.substr(slash + 1), "ns", values);
    }
  }

 private:
  std::string question_;
};

}  // namespace bench
