// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Code that the dispatch thread runs: once when a task ends, in which order, or again and again.

#include <memory>
#include <utility>

namespace procpool::detail {

/// Code to run once, on the dispatch thread, where it is destroyed too.
class Continuation {
 public:
  virtual ~Continuation() = default;
  virtual void run() noexcept = 0;

 private:
  friend class ContinuationQueue;
  std::unique_ptr<Continuation> next_;
};

/// Code to run again and again on the dispatch thread.
class Recurring {
 public:
  virtual ~Recurring() = default;
  /// False: it is over.
  [[nodiscard]] virtual bool recur() noexcept = 0;
};

/// First in, first out. No operation allocates.
class ContinuationQueue {
 public:
  ContinuationQueue() noexcept = default;
  ContinuationQueue(const ContinuationQueue&) = delete;
  ContinuationQueue& operator=(const ContinuationQueue&) = delete;
  ~ContinuationQueue() {
    while (!empty()) static_cast<void>(pop());  // one by one: a chain of destructors could be too deep
  }

  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

  void push(std::unique_ptr<Continuation> continuation) noexcept {
    Continuation* const added = continuation.get();
    (empty() ? first_ : last_->next_) = std::move(continuation);
    last_ = added;
  }

  /// Only while it is not empty.
  [[nodiscard]] std::unique_ptr<Continuation> pop() noexcept {
    std::unique_ptr<Continuation> popped = std::move(first_);
    first_ = std::move(popped->next_);
    return popped;
  }

  /// Takes one out of the middle; null if it is not there.
  [[nodiscard]] std::unique_ptr<Continuation> remove(const Continuation& wanted) noexcept {
    Continuation* before = nullptr;
    for (std::unique_ptr<Continuation>* link = &first_; *link != nullptr; link = &before->next_) {
      if (link->get() == &wanted) {
        std::unique_ptr<Continuation> removed = std::move(*link);
        *link = std::move(removed->next_);
        if (last_ == removed.get()) last_ = before;
        return removed;
      }
      before = link->get();
    }
    return nullptr;
  }

  /// Appends all of `other`, which is empty then.
  void append(ContinuationQueue& other) noexcept {
    if (other.empty()) return;
    (empty() ? first_ : last_->next_) = std::move(other.first_);
    last_ = other.last_;
  }

 private:
  std::unique_ptr<Continuation> first_;
  Continuation* last_ = nullptr;  // meaningless while empty
};

}  // namespace procpool::detail
