// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A pool seen through other terms: what `pool.with({...})` returns.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <procpool/pool/verbs.hpp>
#include <procpool/task/progress.hpp>
#include <procpool/task/task_options.hpp>

namespace procpool {

namespace detail {

[[noreturn, gnu::cold]] inline void refuse_negative(const char* option) {
  throw UsageError(message({"TaskOptions::", option, " is negative; 0 means none"}));
}
[[nodiscard]] inline int count_limit(const char* option, int count) {
  if (count < 0) refuse_negative(option);
  return count;
}
/// No more than a century, for no clock here can count much further.
[[nodiscard]] inline std::chrono::nanoseconds time_limit(const char* option, std::chrono::nanoseconds time) {
  if (time.count() < 0) refuse_negative(option);
  return std::min(time, std::chrono::duration_cast<std::chrono::nanoseconds>(for_ever));
}

}  // namespace detail

/// Light to copy, and safe to keep while the pool lives.
template <class State>
class PoolWithTerms : public Verbs<PoolWithTerms<State>, State> {
 public:
  PoolWithTerms(detail::PoolCore& core, const TaskOptions& options) : sender_{&core}, block_size_(options.chunk_size) {
    sender_.priority = options.priority;
    sender_.measure = options.measure;
    sender_.supervised = {detail::time_limit("timeout", options.timeout),
                          detail::time_limit("queue_timeout", options.queue_timeout),
                          detail::time_limit("grace", options.grace), detail::count_limit("retries", options.retries),
                          detail::count_limit("retries_on_timeout", options.retries_on_timeout)};
    sender_.retries_on_exception = detail::count_limit("retries_on_exception", options.retries_on_exception);
    // A timeout is that of one item.
    sender_.chunk_size = sender_.supervised.timeout.count() != 0 ? 1 : options.chunk_size;
    sender_.read_ahead = options.read_ahead;
    if (!options.label.empty()) sender_.label_text = std::make_shared<const std::string>(options.label);
  }

  /// `report(Progress)` is called at most ten times a second and once at the end: by a blocking verb on the calling
  /// thread, else on the dispatch thread. A map counts its items; a submitted task tells by
  /// this_task::report_progress(), and its last call may come a little after its future is ready. What `report` throws
  /// ends a blocking verb, fails the future of a map, and is ignored for a submitted task.
  [[nodiscard]] PoolWithTerms on_progress(std::function<void(const Progress&)> report) const {
    PoolWithTerms changed = *this;
    changed.sender_.progress = std::move(report);
    return changed;
  }

  /// For the verbs.
  [[nodiscard]] const detail::Sender& sender() const noexcept { return sender_; }
  [[nodiscard]] std::size_t block_size() const noexcept { return block_size_; }

 private:
  detail::Sender sender_;
  std::size_t block_size_;  // elements of an array that go to one task; 0: found from their number
};

}  // namespace procpool
