// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A lock that is held while code of the user's runs, and that refuses a thread which comes back to it from there.

#include <atomic>
#include <mutex>
#include <thread>

#include <procpool/error/error.hpp>

namespace procpool::detail {

struct Exclusive {
  std::mutex mutex;
  std::atomic<std::thread::id> holder{};
};

class ExclusiveTurn {
 public:
  /// Waits for the turns of other threads. UsageError if this thread has it already: it would wait for ever.
  explicit ExclusiveTurn(Exclusive& shared) : shared_(shared) {
    const std::thread::id self = std::this_thread::get_id();
    // relaxed: only this thread can have written its own id
    if (shared_.holder.load(std::memory_order_relaxed) == self) {
      throw UsageError(
          "run_on_each_worker() or resize() was called by what a run_on_each_worker() calls, its progress callback or "
          "a serialize(), and would wait for itself; call it afterwards");
    }
    shared_.mutex.lock();
    shared_.holder.store(self, std::memory_order_relaxed);  // relaxed: as above
  }
  ExclusiveTurn(const ExclusiveTurn&) = delete;
  ExclusiveTurn& operator=(const ExclusiveTurn&) = delete;
  ~ExclusiveTurn() {
    shared_.holder.store(std::thread::id(), std::memory_order_relaxed);  // relaxed: as above
    shared_.mutex.unlock();
  }

 private:
  Exclusive& shared_;
};

}  // namespace procpool::detail
