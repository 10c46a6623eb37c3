// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a worker process knows of itself; what this_worker and this_task read.

#include <atomic>
#include <cstdint>
#include <string_view>
#include <typeinfo>

#include <procpool/detail/memory/region.hpp>
#include <procpool/detail/os/process_identity.hpp>
#include <procpool/detail/result/slot.hpp>
#include <procpool/detail/task/reported_progress.hpp>

namespace procpool::detail {

struct WorkerSelf {
  HomeProcess home;  // a process that a task forks is not the worker
  WorkerIndex index = no_worker;
  std::uint64_t seed = 0;
  const Slot* slot = nullptr;                     // of the task in hand
  std::string_view label;                         // of the task in hand
  ReportedProgress* progress = nullptr;           // of the task in hand; null: nobody asks
  int retries_on_exception = 0;                   // of the task in hand, or of each item of its chunk
  std::atomic<std::uint32_t>* retries = nullptr;  // in the worker's row
  const Region* arrays = nullptr;                 // the memory in which those of its pool lie
  void* state = nullptr;                          // what the initializer made
  const std::type_info* state_type = &typeid(void);

  /// The task in hand has thrown. True if it is to be tried again here and now: then its timeout begins anew, and one
  /// less is left.
  [[nodiscard]] bool may_try_again(int& left) noexcept {
    if (left == 0 || slot->load().is_asked_to_stop()) return false;
    --left;
    retries->fetch_add(1, std::memory_order_relaxed);  // relaxed: only compared
    return true;
  }
};

/// Null outside workers. Set once, before the worker runs anything of the user's.
inline constinit WorkerSelf* worker_self = nullptr;

/// The worker that this process is; null in every other process, also in one forked by a task.
[[nodiscard]] inline WorkerSelf* current_worker() noexcept {
  return worker_self != nullptr && worker_self->home.is_here() ? worker_self : nullptr;
}

}  // namespace procpool::detail
