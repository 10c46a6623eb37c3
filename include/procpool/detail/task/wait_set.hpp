// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The tasks that one caller waits for together, given out in the order in which they end.

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include <procpool/detail/os/process_identity.hpp>
#include <procpool/detail/task/completion_hub.hpp>

namespace procpool::detail {

/// Used by one thread; forgets what it still watches when it goes.
class WaitSet final : private Watcher {
 public:
  explicit WaitSet(CompletionHub& hub) noexcept : hub_(hub) {}
  WaitSet(const WaitSet&) = delete;
  WaitSet& operator=(const WaitSet&) = delete;
  ~WaitSet() {
    if (!home_.is_here()) return;  // Some other thread may have held the hub's lock when this process was forked.
    for (const auto& [handle, key] : keys_) hub_.forget(handle, *this);
  }

  /// Watches a task; `key` is what next() will answer for it. One that is watched already is not answered twice.
  void add(Handle handle, std::size_t key) {
    const auto [place, is_new] = keys_.emplace(handle, key);
    if (!is_new) return;
    try {
      have_room();
      hub_.watch(handle, *this);
    } catch (...) {
      keys_.erase(place);
      throw;
    }
  }

  /// The key of a task that has ended; empty at the deadline. Only while size() is above zero.
  [[nodiscard]] std::optional<std::size_t> next(std::chrono::nanoseconds spin, const Deadline& deadline) {
    if (next_taken_ == taken_.size() && !take_ready(spin, deadline)) return std::nullopt;
    const auto found = keys_.find(taken_[next_taken_++]);
    const std::size_t key = found->second;
    keys_.erase(found);
    return key;
  }

  /// Tasks added and not yet answered.
  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }

 private:
  void ended(Handle handle) noexcept override { ready_.push_back(handle); }

  /// Neither ended() nor who takes what has ended may allocate.
  void have_room() {
    const std::size_t needed = keys_.size();
    if (taken_.capacity() < needed) taken_.reserve(needed * 2);
    const std::lock_guard lock(hub_.mutex());
    if (ready_.capacity() < needed) ready_.reserve(needed * 2);
  }

  [[nodiscard]] bool take_ready(std::chrono::nanoseconds spin, const Deadline& deadline) {
    taken_.clear();
    next_taken_ = 0;
    return hub_.wait(
        spin, deadline,
        [&] {
          if (ready_.empty()) return false;
          taken_.swap(ready_);
          return true;
        },
        [] { return true; }, this);
  }

  const HomeProcess home_;
  CompletionHub& hub_;
  std::unordered_map<Handle, std::size_t> keys_;  // this and the next two: the caller's thread only
  std::vector<Handle> taken_;                     // from ready_, in order
  std::size_t next_taken_ = 0;
  std::vector<Handle> ready_;  // under the hub's lock
};

}  // namespace procpool::detail
