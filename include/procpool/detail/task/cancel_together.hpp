// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Cancels the tasks that are one thing to their caller, or that it has no memory for.

#include <memory>

#include <procpool/detail/task/result_handle.hpp>

namespace procpool::detail {

/// Cancels `handle_of(part)` of each part, if it is valid: first those that wait for a worker, so that none of them
/// begins because another has stopped. True: none of them ever ran or will, but for what one of them waits for, which
/// is left in `further`: see Upstream.
template <class Parts, class HandleOf>
bool cancel_together(const Parts& parts, HandleOf handle_of, std::shared_ptr<Upstream>& further) {
  bool has_begun = false;
  for (const bool queued : {true, false}) {
    for (const auto& part : parts) {
      const ResultHandle& handle = handle_of(part);
      if (!handle.valid() || (queued && handle.word().phase() != Phase::queued)) continue;
      has_begun |= !(further == nullptr ? handle.cancel(further) : handle.cancel());
    }
  }
  return !has_begun;
}

/// The same of tasks that wait for no others.
template <class Parts, class HandleOf>
bool cancel_together(const Parts& parts, HandleOf handle_of) {
  std::shared_ptr<Upstream> none;
  return cancel_together(parts, handle_of, none);
}

/// Calls `keep()`, whose caller has sent `task`. If that throws, nobody will wait for the task: it is not wanted.
template <class Keep>
void keep_or_cancel(const ResultHandle& task, Keep keep) {
  try {
    keep();
  } catch (...) {
    task.cancel();
    throw;
  }
}

}  // namespace procpool::detail
