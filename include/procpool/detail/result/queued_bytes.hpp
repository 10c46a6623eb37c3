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
///
/// Whoever finds no room may stand in line. There is no order among those that find room, who are many and have slept,
/// but the first in the line is passed by few; so one that needs much room goes beside any number that need little.
class QueuedBytes : public std::enable_shared_from_this<QueuedBytes> {
 public:
  class Entry;

  /// Others that go before the first in the line.
  static constexpr int most_passes = 16;

  explicit QueuedBytes(std::size_t limit) noexcept : limit_(limit) {}
  QueuedBytes(const QueuedBytes&) = delete;
  QueuedBytes& operator=(const QueuedBytes&) = delete;

  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

  /// Counts `bytes` for a task, unless others wait and would with it be above the limit, or it is another's turn. If it
  /// does not, and `stands_in_line`, it does so until it is admitted or goes. `waits(handle)` says of one that was
  /// counted whether it still waits.
  template <class Waits>
  [[nodiscard]] bool admit(Entry& entry, std::size_t bytes, bool stands_in_line, const Waits& waits);

  /// Of those counted, at some moment during the call.
  [[nodiscard]] std::size_t was_counted() const {
    const std::lock_guard lock(mutex_);
    return total_;
  }

 private:
  struct List {
    Entry* first = nullptr;  // the oldest
    Entry* last = nullptr;
  };

  [[nodiscard]] bool has_room(std::size_t bytes) const noexcept {
    return counted_.first == nullptr || (bytes <= limit_ && total_ <= limit_ - bytes);
  }
  [[nodiscard]] bool may_go(const Entry& entry) const noexcept;
  void link(List& list, Entry& entry) noexcept;
  void unlink(Entry& entry) noexcept;

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::size_t total_ = 0;  // under the mutex, as the next two
  List counted_;
  List line_;
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

  std::shared_ptr<QueuedBytes> queue_;  // null: it was never in a list
  List* list_ = nullptr;                // in which it is; under the mutex of the queue, as all below
  std::size_t bytes_ = 0;
  int passes_ = 0;  // others that went while it was first in the line
  std::optional<Handle> handle_;
  Entry* before_ = nullptr;
  Entry* behind_ = nullptr;
};

inline bool QueuedBytes::may_go(const Entry& entry) const noexcept {
  return line_.first == nullptr || line_.first == &entry || line_.first->passes_ < most_passes;
}

/// It looks at the oldest first, for these are taken first, and at no more than it needs.
template <class Waits>
bool QueuedBytes::admit(Entry& entry, std::size_t bytes, bool stands_in_line, const Waits& waits) {
  const std::lock_guard lock(mutex_);
  const bool is_its_turn = may_go(entry);
  for (Entry* each = counted_.first; is_its_turn && each != nullptr && !has_room(bytes);) {
    Entry& seen = *std::exchange(each, each->behind_);
    if (seen.handle_ && !waits(*seen.handle_)) unlink(seen);
  }
  const bool goes = is_its_turn && has_room(bytes);
  if (!goes && (!stands_in_line || entry.list_ != nullptr)) return false;
  if (goes && line_.first != nullptr && line_.first != &entry) ++line_.first->passes_;
  if (!entry.queue_) entry.queue_ = shared_from_this();
  unlink(entry);
  entry.bytes_ = bytes;
  link(goes ? counted_ : line_, entry);
  return goes;
}

inline void QueuedBytes::link(List& list, Entry& entry) noexcept {
  entry.list_ = &list;
  entry.before_ = list.last;
  entry.behind_ = nullptr;
  (list.last != nullptr ? list.last->behind_ : list.first) = &entry;
  list.last = &entry;
  if (&list == &counted_) total_ += entry.bytes_;
}

inline void QueuedBytes::unlink(Entry& entry) noexcept {
  if (entry.list_ == nullptr) return;
  List& list = *std::exchange(entry.list_, nullptr);
  (entry.before_ != nullptr ? entry.before_->behind_ : list.first) = entry.behind_;
  (entry.behind_ != nullptr ? entry.behind_->before_ : list.last) = entry.before_;
  if (&list == &counted_) total_ -= entry.bytes_;
}

}  // namespace procpool::detail
