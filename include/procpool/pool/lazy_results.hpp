// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What imap and its kin return: a range of results that are computed a little ahead of whoever reads them.

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <procpool/future/outcome.hpp>

namespace procpool {

/// An input range. Its items are read on the thread that iterates. Leaving it early cancels what has not started.
/// With `GivesOutcomes`, each element is an Outcome<R>; without, an R, and reading an element whose task failed throws
/// that task's exception. The iterator may be advanced all the same, to the next item; a range-for cannot do that.
template <class R, class Job, bool GivesOutcomes>
class LazyResults {
 public:
  class Sentinel {};

  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = std::conditional_t<GivesOutcomes, Outcome<R>, R>;

    explicit Iterator(LazyResults& results) : results_(&results) { ++*this; }

    [[nodiscard]] decltype(auto) operator*() const {
      if constexpr (GivesOutcomes) return (*results_->current_);
      else return results_->current_->value();
    }
    /// Waits for the next result. Throws what reading the range threw.
    Iterator& operator++() {
      results_->current_.reset();
      if (auto next = results_->job_->next()) results_->current_.emplace(std::move(*next));
      return *this;
    }
    void operator++(int) { ++*this; }

    [[nodiscard]] bool operator==(Sentinel) const noexcept { return !results_->current_; }

   private:
    LazyResults* results_;
  };

  explicit LazyResults(std::unique_ptr<Job> job) noexcept : job_(std::move(job)) {}

  /// Once.
  [[nodiscard]] Iterator begin() { return Iterator(*this); }
  [[nodiscard]] Sentinel end() const noexcept { return {}; }

 private:
  std::unique_ptr<Job> job_;
  std::optional<Outcome<R>> current_;
};

}  // namespace procpool
