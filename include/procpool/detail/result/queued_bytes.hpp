// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How many bytes the arguments of tasks that wait in a queue take.
///
/// Shared by  the threads of the user's process.
/// Progress   blocking among them; no code of the user's runs under the lock.
/// Crash      it dies with the user's process only: workers see none of it, so no death leaves it wrong.

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <procpool/detail/ring/ring.hpp>

namespace procpool::detail {

/// Counts a task from before its block is made until somebody who finds no room sees that it waits no more: workers,
/// who take it, tell nobody. One that was seen so and waits again, because its worker has died, is not counted again.
class QueuedBytes : public std::enable_shared_from_this<QueuedBytes> {
 public:
  class Entry;

  explicit QueuedBytes(std::size_t limit) noexcept : limit_(limit) {}
  QueuedBytes(const QueuedBytes&) = delete;
  QueuedBytes& operator=(const QueuedBytes&) = delete;

  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

  /// Counts `bytes` for a task, unless others wait and would with it be above the limit. `waits(handle)` says of one
  /// that was counted whether it still does.
  template <class Waits>
  [[nodiscard]] bool admit(Entry& entry, std::size_t bytes, const Waits& waits);

  /// Of those counted, at some moment during the call.
  [[nodiscard]] std::size_t was_counted() const {
    const std::lock_guard lock(mutex_);
    return total_;
  }

 private:
  [[nodiscard]] bool has_room(std::size_t bytes) const noexcept {
    return first_ == nullptr || (bytes <= limit_ && total_ <= limit_ - bytes);
  }
  void link(Entry& entry) noexcept;
  void unlink(Entry& entry) noexcept;

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::size_t total_ = 0;   // under the mutex, as the next two
  Entry* first_ = nullptr;  // the oldest
  Entry* last_ = nullptr;
};

/// A task that may be counted; it stays where it was made, and is counted no more when it goes.
class QueuedBytes::Entry {
 public:
  Entry() noexcept = default;
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry() {
    if (!queue_) return;
    const std::lock_guard lock(queue_->mutex_);
    queue_->unlink(*this);
  }

  /// Before the task can be taken: where it is seen whether it waits. Until then it does.
  void set_slot(Handle handle) {
    if (!queue_) return;
    const std::lock_guard lock(queue_->mutex_);
    handle_ = handle;
  }

 private:
  friend class QueuedBytes;

  std::shared_ptr<QueuedBytes> queue_;  // null: it was never counted
  bool is_linked_ = false;              // under the mutex of the queue, as all below
  std::size_t bytes_ = 0;
  std::optional<Handle> handle_;
  Entry* before_ = nullptr;
  Entry* behind_ = nullptr;
};

/// It looks at the oldest first, for these are taken first, and at no more than it needs.
template <class Waits>
bool QueuedBytes::admit(Entry& entry, std::size_t bytes, const Waits& waits) {
  const std::lock_guard lock(mutex_);
  for (Entry* each = first_; each != nullptr && !has_room(bytes);) {
    Entry& seen = *std::exchange(each, each->behind_);
    if (seen.handle_ && !waits(*seen.handle_)) unlink(seen);
  }
  if (!has_room(bytes)) return false;
  entry.queue_ = shared_from_this();
  entry.bytes_ = bytes;
  link(entry);
  return true;
}

inline void QueuedBytes::link(Entry& entry) noexcept {
  entry.is_linked_ = true;
  entry.before_ = last_;
  entry.behind_ = nullptr;
  (last_ != nullptr ? last_->behind_ : first_) = &entry;
  last_ = &entry;
  total_ += entry.bytes_;
}

inline void QueuedBytes::unlink(Entry& entry) noexcept {
  if (!std::exchange(entry.is_linked_, false)) return;
  (entry.before_ != nullptr ? entry.before_->behind_ : first_) = entry.behind_;
  (entry.behind_ != nullptr ? entry.behind_->before_ : last_) = entry.before_;
  total_ -= entry.bytes_;
}

}  // namespace procpool::detail
