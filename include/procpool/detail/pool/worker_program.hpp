// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a pool's processes run of the user's, beside tasks, and under which limits.

#include <cstddef>
#include <functional>
#include <memory>
#include <typeinfo>

#include <procpool/process/worker_limits.hpp>

namespace procpool::detail {

/// Made by the user's process before the fork; each worker uses its own copy.
struct WorkerProgram {
  std::function<void()> preload;                      // once, in the zygote; may be empty
  std::function<std::shared_ptr<void>()> make_state;  // the initializer, in each worker; may be empty
  const std::type_info* state_type = &typeid(void);   // of what it makes
  std::function<void()> at_exit;                      // in each worker that ends in order; may be empty
  int max_tasks = 0;                                  // 0: never recycled
  std::size_t max_memory = 0;                         // bytes of its own; 0: never recycled for them
  std::size_t min_workers = 0;                        // those with an index from there on retire; 0: none does
  int library_threads = 1;                            // 0: left alone
  bool pin = false;
  WorkerLimits limits;
};

}  // namespace procpool::detail
