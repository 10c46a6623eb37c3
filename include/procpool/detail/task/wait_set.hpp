// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The tasks that one caller waits for together, given out in the order in which they end.

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <unordered_map>

#include <procpool/detail/task/completion_hub.hpp>

namespace procpool::detail {

/// Used by one thread; forgets what it still watches when it goes.
class WaitSet final : private Watcher {
 public:
  explicit WaitSet(CompletionHub& hub) noexcept : hub_(hub) {}
  WaitSet(const WaitSet&) = delete;
  WaitSet& operator=(const WaitSet&) = delete;
  ~WaitSet() {
    for (const auto& [handle, key] : keys_) hub_.forget(handle, *this);
  }

  /// Watches a task; `key` is what next() will answer for it.
  void add(Handle handle, std::size_t key) {
    keys_.emplace(handle, key);
    hub_.watch(handle, *this);
  }

  /// The key of a task that has ended; empty at the deadline. Only while size() is above zero.
  [[nodiscard]] std::optional<std::size_t> next(std::chrono::nanoseconds spin, const Deadline& deadline) {
    Handle handle = 0;
    const bool ended = hub_.wait(spin, deadline, [&] {
      if (ready_.empty()) return false;
      handle = ready_.front();
      ready_.pop_front();
      return true;
    });
    if (!ended) return std::nullopt;
    const auto found = keys_.find(handle);
    const std::size_t key = found->second;
    keys_.erase(found);
    return key;
  }

  /// Tasks added and not yet answered.
  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }

 private:
  void ended(Handle handle) noexcept override { ready_.push_back(handle); }

  CompletionHub& hub_;
  std::unordered_map<Handle, std::size_t> keys_;  // the caller's thread only
  std::deque<Handle> ready_;                      // under the hub's lock
};

}  // namespace procpool::detail
