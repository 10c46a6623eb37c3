// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// std::async as the questions see a pool: each task is a thread of its own.

#include <sys/types.h>

#include <future>
#include <string_view>
#include <vector>

#include "blocks.hpp"

namespace bench {

class StdAsyncPool {
 public:
  static constexpr std::string_view name = "std_async";

  explicit StdAsyncPool(int workers) : workers_{workers} {}

  template <class F, class... Args>
  auto submit(F f, Args... args) {
    return std::async(std::launch::async, f, args...);
  }

  /// One block, so one thread, for each worker.
  template <class F, class Items>
  Items map(F f, const Items& items) {
    return map_by_blocks(*this, f, items, workers_);
  }

  [[nodiscard]] std::vector<pid_t> processes() { return {}; }

 private:
  int workers_;
};

}  // namespace bench
