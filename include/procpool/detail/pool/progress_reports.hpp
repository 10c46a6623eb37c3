// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the user's progress callback is told of a verb that sends many items.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <procpool/detail/pool/chunker.hpp>
#include <procpool/detail/pool/sender.hpp>
#include <procpool/task/progress.hpp>

namespace procpool::detail {

/// Calls the user's callback now and then: at most ten times a second, and once at the end.
class ProgressReports {
 public:
  ProgressReports(const Sender& sender, std::size_t total) : report_(sender.progress), label_(sender.label_text) {
    progress_.total = total == Chunker::unknown ? 0 : total;
    if (label_) progress_.label = *label_;
  }

  void add(std::size_t items) {
    progress_.done += items;
    if (!report_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    report_(progress_);
  }
  void finish() {
    if (!report_) return;
    progress_.total = progress_.done;
    report_(progress_);
  }

 private:
  std::function<void(const Progress&)> report_;
  std::shared_ptr<const std::string> label_;
  Progress progress_{};
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace procpool::detail
