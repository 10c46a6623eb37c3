// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The tasks of several futures, perhaps of several pools, in the order in which they end.

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include <procpool/detail/task/future_access.hpp>
#include <procpool/detail/task/local_task.hpp>
#include <procpool/detail/task/wait_set.hpp>
#include <procpool/detail/task/when_ended.hpp>

namespace procpool::detail {

/// Used by one thread. Tasks of one pool are waited for through its hub; where there are several pools, each task of
/// the others ends a task that stands for it in the first.
class FutureSet {
 public:
  /// At least one; next() answers positions in `all`. A task that occurs twice is answered once.
  explicit FutureSet(std::span<const ResultHandle* const> all);

  /// The next one to end; empty at the deadline. Only while size() is above zero.
  [[nodiscard]] std::optional<std::size_t> next(const Deadline& deadline) {
    if (!home_.home.is_here()) throw_away_from_home("a loop over futures", home_.home);
    return set_.next(home_.spin, deadline);
  }

  /// Tasks not yet answered.
  [[nodiscard]] std::size_t size() const noexcept { return set_.size(); }

 private:
  class EndStandIn final : public Continuation {
   public:
    EndStandIn(Exchange& home, ResultHandle original) : stand_in_(home), original_(std::move(original)) {}
    [[nodiscard]] LocalTask& stand_in() noexcept { return stand_in_; }
    [[nodiscard]] const ResultHandle& original() const noexcept { return original_; }
    void run() noexcept override { stand_in_.succeed(nullptr); }

   private:
    LocalTask stand_in_;
    ResultHandle original_;  // keeps its slot from being given back before
  };

  void add_stand_in(const ResultHandle& original, std::size_t key);

  Exchange& home_;
  Hold hold_;  // the futures may go before
  std::set<std::pair<Exchange*, Handle>> others_;
  std::vector<ResultHandle> stand_ins_;
  WaitSet set_;
};

inline FutureSet::FutureSet(std::span<const ResultHandle* const> all)
    : home_(all.front()->exchange()), hold_(home_), set_(home_.hub) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (&all[i]->exchange() == &home_) set_.add(all[i]->handle(), i);
    else if (others_.emplace(&all[i]->exchange(), all[i]->handle()).second) add_stand_in(*all[i], i);
  }
}

inline void FutureSet::add_stand_in(const ResultHandle& original, std::size_t key) {
  auto continuation = std::make_unique<EndStandIn>(home_, original.duplicate());
  stand_ins_.push_back(continuation->stand_in().take_future());
  set_.add(stand_ins_.back().handle(), key);
  const ResultHandle& source = continuation->original();
  run_when_ended(source, std::move(continuation));
}

}  // namespace procpool::detail
