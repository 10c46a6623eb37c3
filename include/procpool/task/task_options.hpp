// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The terms on which tasks are sent.

#include <chrono>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include <procpool/task/priority.hpp>

namespace procpool {

/// Between the request to stop and SIGKILL, unless TaskOptions::grace says otherwise.
inline constexpr std::chrono::milliseconds default_grace{100};

/// For `pool.with({.label = "score", .priority = Priority::high})`.
struct TaskOptions {
  std::chrono::nanoseconds timeout{0};             ///< from the start of a task, or of each item of a map; 0: none
  std::chrono::nanoseconds queue_timeout{0};       ///< from the sending to the first start: then QueueTimeout; 0: none
  std::chrono::nanoseconds grace = default_grace;  ///< from the request to stop, at the timeout, to SIGKILL
  int retries = 0;                                 ///< of a task, or an item, whose worker died
  int retries_on_exception = 0;                    ///< of one that threw: at once, in the same worker
  int retries_on_timeout = 0;            ///< of one that has not ended when its grace is over; its worker was killed
  std::size_t chunk_size = 0;            ///< items of a map in one task; 0: found from measured times, imap: 1;
                                         ///< elements of a block of map_blocks(); 0: found from their number
  std::size_t read_ahead = 0;            ///< items that imap may have in flight, as far as their
                                         ///< results have room; 0: a few per worker
  Priority priority = Priority::normal;  ///< among the tasks that wait
  std::string_view label = {};           ///< told in errors and in WorkerInfo; copied by with()
  bool measure = false;                  ///< of a submitted task, for usage(); maps and run_on_each_worker() ignore it
};

static_assert(std::is_trivially_destructible_v<TaskOptions>, "GCC 12 frees a temporary in a co_await expression twice");

}  // namespace procpool
