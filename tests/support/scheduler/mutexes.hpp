// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Who holds which mutex of the C library in a run, and how a death leaves it.

#include <pthread.h>

namespace model {

class Fiber;

class Mutexes {
 public:
  static void forget_all();
  /// Its robust mutexes go to the next who locks them, who is told.
  static void bury(const Fiber& fiber);
  /// Deaths since the program began that left a mutex held.
  [[nodiscard]] static int orphaned() noexcept;
};

}  // namespace model
