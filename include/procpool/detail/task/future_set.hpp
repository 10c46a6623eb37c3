// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The tasks of several futures, perhaps of several pools, in the order in which they end.

#include <cstddef>
#include <map>
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
/// the others ends a task that stands for it in the first. What has not ended when the set goes leaves nothing behind.
class FutureSet {
 public:
  /// At least one; next() answers positions in `all`. A task that occurs twice is answered once.
  explicit FutureSet(std::span<const ResultHandle* const> all);

  /// The next one to end; empty at the deadline. Only while size() is above zero.
  [[nodiscard]] std::optional<std::size_t> next(const Deadline& deadline) {
    if (!home_.home.is_here()) throw_away_from_home("a loop over futures", home_.home);
    const std::optional<std::size_t> key = set_.next(home_.spin.of_caller(), deadline);
    if (key) stand_ins_.erase(*key);
    return key;
  }

  /// Tasks not yet answered.
  [[nodiscard]] std::size_t size() const noexcept { return set_.size(); }

 private:
  /// Owned by the dispatcher of the original's pool.
  class EndStandIn final : public Continuation {
   public:
    EndStandIn(Exchange& home, ResultHandle original) : stand_in_(home), original_(std::move(original)) {}
    ~EndStandIn() override {
      if (!has_run_) stand_in_.cancel();  // Nobody waits for it.
    }
    [[nodiscard]] LocalTask& stand_in() noexcept { return stand_in_; }
    [[nodiscard]] const ResultHandle& original() const noexcept { return original_; }
    void run() noexcept override {
      stand_in_.succeed(nullptr);
      has_run_ = true;
    }

   private:
    LocalTask stand_in_;
    ResultHandle original_;  // keeps its slot from being given back before
    bool has_run_ = false;
  };

  /// The set's side of it.
  class StandIn {
   public:
    StandIn(Exchange& home, const ResultHandle& original);
    StandIn(const StandIn&) = delete;
    StandIn& operator=(const StandIn&) = delete;
    ~StandIn();
    [[nodiscard]] Handle handle() const noexcept { return future_.handle(); }

   private:
    ResultHandle original_;  // as above, for the destructor
    ResultHandle future_;
    const Continuation* end_;  // gone, once the original has ended
  };

  Exchange& home_;
  Hold hold_;  // the futures may go before
  std::set<std::pair<Exchange*, Handle>> others_;
  std::map<std::size_t, StandIn> stand_ins_;  // by key
  WaitSet set_;                               // destroyed first: it forgets the handles before they go
};

inline FutureSet::FutureSet(std::span<const ResultHandle* const> all)
    : home_(all.front()->exchange()), hold_(home_), set_(home_.hub) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (&all[i]->exchange() == &home_) set_.add(all[i]->handle(), i);
    else if (others_.emplace(&all[i]->exchange(), all[i]->handle()).second)
      set_.add(stand_ins_.try_emplace(i, home_, *all[i]).first->second.handle(), i);
  }
}

inline FutureSet::StandIn::StandIn(Exchange& home, const ResultHandle& original) : original_(original.duplicate()) {
  auto continuation = std::make_unique<EndStandIn>(home, original.duplicate());
  future_ = continuation->stand_in().take_future();
  end_ = continuation.get();
  const ResultHandle& source = continuation->original();
  run_when_ended(source, std::move(continuation));
}

inline FutureSet::StandIn::~StandIn() {
  Exchange& exchange = original_.exchange();
  if (!exchange.home.is_here()) return;
  const std::unique_ptr<Continuation> unwanted = exchange.dispatcher.withdraw(original_.handle(), *end_);
}

}  // namespace procpool::detail
