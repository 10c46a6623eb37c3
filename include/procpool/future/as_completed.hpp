// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A loop over futures in the order in which their tasks end.

#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/detail/task/future_set.hpp>
#include <procpool/future/future_range.hpp>
#include <procpool/future/futures_unfinished.hpp>

namespace procpool {

/// Made by as_completed(), for one loop. The futures that were not yet yielded stay where they are until its end: they
/// are neither moved nor taken.
template <FutureRange R>
class AsCompleted {
 public:
  class Iterator;

  AsCompleted(R&& futures, const detail::Deadline& deadline);
  AsCompleted(const AsCompleted&) = delete;
  AsCompleted& operator=(const AsCompleted&) = delete;

  /// Waits for the first. Throws FuturesUnfinished at the deadline, as the increment of the iterator.
  [[nodiscard]] Iterator begin() {
    advance();
    return Iterator(*this);
  }
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return std::default_sentinel; }

 private:
  using Element = detail::future_in_t<R>;

  void advance();

  R futures_;  // a reference, or the range itself if it was a temporary
  detail::Deadline deadline_;
  std::vector<Element*> elements_;
  std::optional<detail::FutureSet> unfinished_;  // empty for an empty range
  std::size_t total_ = 0;
  Element* current_ = nullptr;  // null at the end
};

/// An input iterator.
template <FutureRange R>
class AsCompleted<R>::Iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = std::remove_cv_t<Element>;
  using difference_type = std::ptrdiff_t;

  explicit Iterator(AsCompleted& loop) noexcept : loop_(&loop) {}

  [[nodiscard]] Element& operator*() const noexcept { return *loop_->current_; }
  [[nodiscard]] Element* operator->() const noexcept { return loop_->current_; }
  Iterator& operator++() {
    loop_->advance();
    return *this;
  }
  void operator++(int) { loop_->advance(); }
  [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept { return loop_->current_ == nullptr; }

 private:
  AsCompleted* loop_;
};

/// A range of `Future<T>&`, in the order in which the tasks end; those that have ended already come first. One that is
/// in it twice (a copy of a SharedFuture) comes once. The futures may be of several pools.
template <FutureRange R>
[[nodiscard]] AsCompleted<R> as_completed(R&& futures) {
  return AsCompleted<R>(std::forward<R>(futures), std::nullopt);
}

/// The same; the loop throws FuturesUnfinished if not all have ended within `time` from now on, or at `time`.
template <FutureRange R, class Rep, class Period>
[[nodiscard]] AsCompleted<R> as_completed(R&& futures, const std::chrono::duration<Rep, Period>& time) {
  return AsCompleted<R>(std::forward<R>(futures), detail::deadline_in(time));
}
template <FutureRange R, class Clock, class Duration>
[[nodiscard]] AsCompleted<R> as_completed(R&& futures, const std::chrono::time_point<Clock, Duration>& time) {
  return AsCompleted<R>(std::forward<R>(futures), detail::deadline_at(time));
}

template <FutureRange R>
AsCompleted<R>::AsCompleted(R&& futures, const detail::Deadline& deadline)
    : futures_(std::forward<R>(futures)), deadline_(deadline) {
  for (auto& future : futures_) elements_.push_back(std::addressof(future));
  if (elements_.empty()) return;
  unfinished_.emplace(detail::tasks_of(futures_));
  total_ = unfinished_->size();
}

template <FutureRange R>
void AsCompleted<R>::advance() {
  current_ = nullptr;
  if (!unfinished_ || unfinished_->size() == 0) return;
  const std::optional<std::size_t> ended = unfinished_->next(deadline_);
  if (!ended) throw FuturesUnfinished(unfinished_->size(), total_);
  current_ = elements_[*ended];
}

}  // namespace procpool
