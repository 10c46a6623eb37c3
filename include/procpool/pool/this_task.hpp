// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a running task may ask and tell. Outside a task everything is empty and nothing happens.

#include <cstddef>
#include <string_view>

#include <procpool/detail/task/worker_self.hpp>

namespace procpool::this_task {

/// True once `Future::cancel()` was called on the running task, or its timeout has passed. A long task looks now and
/// then, and returns early.
[[nodiscard]] inline bool stop_requested() noexcept {
  const detail::WorkerSelf* self = detail::current_worker();
  return self != nullptr && self->slot != nullptr && self->slot->load().is_asked_to_stop();
}

/// Tells how far the task is, in units of its own; `total` 0 if that is not known. For a task that was submitted with
/// `on_progress`, else it does nothing (a map counts its items). Costs two stores.
inline void report_progress(std::size_t done, std::size_t total) noexcept {
  const detail::WorkerSelf* self = detail::current_worker();
  if (self == nullptr || self->slot == nullptr || self->progress == nullptr) return;
  self->progress->report({done, total});
}

/// The label that the task was sent with; valid while it runs.
[[nodiscard]] inline std::string_view label() noexcept {
  const detail::WorkerSelf* self = detail::current_worker();
  return self != nullptr ? self->label : std::string_view{};
}

}  // namespace procpool::this_task
