// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The block of a result that somebody reads in place.
///
/// Crash  the extent of a dead worker stays an orphan until the block is given back; with the user's process all goes.

#include <bit>
#include <cstddef>
#include <utility>

#include <procpool/detail/task/future_access.hpp>
#include <procpool/detail/task/result_handle.hpp>

namespace procpool::detail {

/// Move-only; it holds the memory of the pool as a future does, and gives the block back when it goes. In a process
/// other than the one that made it, that does nothing.
class BorrowedBlock {
 public:
  BorrowedBlock() noexcept = default;

  /// `result` is a value in a block, which the owner `task` has read. What else the slot keeps, the arguments above
  /// all, is given back at once, unless it has another owner: then the last of them gives back slot and block.
  BorrowedBlock(ResultHandle task, const RawResult& result) noexcept
      : exchange_(&task.exchange()), header_(result.header) {
    exchange_->retain();
    if (task.is_shared()) task_ = std::move(task);
    else task.give_back_without_block();
  }
  BorrowedBlock(BorrowedBlock&& other) noexcept
      : exchange_(std::exchange(other.exchange_, nullptr)), header_(other.header_), task_(std::move(other.task_)) {}
  BorrowedBlock& operator=(BorrowedBlock&& other) noexcept {
    BorrowedBlock(std::move(other)).swap(*this);
    return *this;
  }
  ~BorrowedBlock() {
    if (exchange_ != nullptr && exchange_->home.is_here()) give_back();
  }

  [[nodiscard]] bool valid() const noexcept { return exchange_ != nullptr; }

  /// Throws UsageError in a process forked from the one that borrowed it, which does not have the memory.
  void require_home() const {
    if (valid() && !exchange_->home.is_here()) throw_away_from_home("a borrowed result", exchange_->home);
  }

 private:
  void swap(BorrowedBlock& other) noexcept {
    std::swap(exchange_, other.exchange_);
    std::swap(header_, other.header_);
    std::swap(task_, other.task_);
  }
  void give_back() noexcept {
    if (task_.valid()) task_.give_back(RawResult{header_, {}, nullptr});
    else exchange_->outbox.give_back(std::bit_cast<const std::byte*>(header_.word));
    exchange_->release();
  }

  Exchange* exchange_ = nullptr;
  ResultHeader header_;
  ResultHandle task_;  // valid if the slot had another owner
};

}  // namespace procpool::detail
