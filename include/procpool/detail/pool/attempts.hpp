// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Steps that are taken again later if there was no memory for them.

#include <new>

namespace procpool::detail {

class Attempts {
 public:
  /// A step that finds no memory has changed nothing.
  template <class Step>
  void make(Step step) {
    try {
      step();
    } catch (const std::bad_alloc&) {
      has_failed_ = true;
    }
  }

  /// True if a step is to be taken again.
  [[nodiscard]] bool has_failed() const noexcept { return has_failed_; }
  void begin_anew() noexcept { has_failed_ = false; }

 private:
  bool has_failed_ = false;
};

}  // namespace procpool::detail
