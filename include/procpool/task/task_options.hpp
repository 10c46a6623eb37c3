// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The terms on which tasks are sent.

#include <cstddef>
#include <string_view>
#include <type_traits>

#include <procpool/task/priority.hpp>

namespace procpool {

/// For `pool.with({.label = "score", .priority = Priority::high})`.
struct TaskOptions {
  std::size_t chunk_size = 0;            ///< items of a map in one task; 0: found from measured times, imap: 1
  std::size_t read_ahead = 0;            ///< items that imap may have in flight; 0: a few per worker
  Priority priority = Priority::normal;  ///< among the tasks that wait
  std::string_view label = {};           ///< told in errors and in WorkerInfo; copied by with()
};

static_assert(std::is_trivially_destructible_v<TaskOptions>, "GCC 12 frees a temporary in a co_await expression twice");

}  // namespace procpool
