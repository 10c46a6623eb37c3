// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The exception of a loop over futures whose time was over.

#include <cstddef>

#include <procpool/error/error.hpp>
#include <procpool/error/message.hpp>

namespace procpool {

/// The deadline of as_completed() came before all futures had ended. Those that it did not yield are as before.
class FuturesUnfinished : public Error {
 public:
  FuturesUnfinished(std::size_t unfinished, std::size_t total)
      : Error(
            detail::message({unfinished, " of ", total,
                             " futures had not ended when the time given to as_completed() was over; they may still be "
                             "waited for, or cancelled"})),
        unfinished_(unfinished), total_(total) {}

  [[nodiscard]] std::size_t unfinished() const noexcept { return unfinished_; }
  [[nodiscard]] std::size_t total() const noexcept { return total_; }

 private:
  std::size_t unfinished_;
  std::size_t total_;
};

}  // namespace procpool
