// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a worker says that a task has used.
///
/// Shared by  the worker, who writes before it publishes the task, and the user's process, who reads what is Done.
/// Crash      of a task whose worker has died the numbers are zero.

#include <atomic>
#include <cstdint>

#include <procpool/detail/os/own_usage.hpp>
#include <procpool/detail/task/reported_progress.hpp>
#include <procpool/task/usage.hpp>

namespace procpool::detail {

class ReportedUsage {
 public:
  /// The worker: calls `run()`, and reports what it used.
  template <class Run>
  void measure(Run run) {
    forget_peak_memory();
    const OwnUsage before = own_usage();
    run();
    const OwnUsage after = own_usage();
    const auto cpu_time = static_cast<std::uint64_t>((after.cpu_time - before.cpu_time).count());
    cpu_time_.store(cpu_time, std::memory_order_relaxed);              // relaxed: published with the slot's word
    peak_memory_.store(after.peak_memory, std::memory_order_relaxed);  // relaxed: as above
  }

  /// The user's process, once the task has ended.
  [[nodiscard]] Usage was_reported() const noexcept {
    const auto cpu_time = cpu_time_.load(std::memory_order_relaxed);                            // relaxed: as above
    return {std::chrono::nanoseconds(cpu_time), peak_memory_.load(std::memory_order_relaxed)};  // relaxed: as above
  }

 private:
  std::atomic<std::uint64_t> cpu_time_{0};  // nanoseconds
  std::atomic<std::uint64_t> peak_memory_{0};
};

/// What a single task reports beside its result, in a block that belongs to it as long as its slot.
struct TaskNumbers {
  ReportedProgress progress;
  ReportedUsage usage;
};

}  // namespace procpool::detail
