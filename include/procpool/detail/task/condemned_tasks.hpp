// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How the supervisor learns that a task was condemned.

#include <sys/eventfd.h>

#include <mutex>
#include <utility>
#include <vector>

#include <procpool/detail/ring/ring.hpp>

namespace procpool::detail {

/// In the private memory of the user's process. Its pool, and with it the supervisor, may have gone.
class CondemnedTasks {
 public:
  /// The slot of the task says so already.
  void add(Handle handle) {
    const std::lock_guard lock(mutex_);
    handles_.push_back(handle);
    if (bell_ >= 0) ::eventfd_write(bell_, 1);
  }

  /// Those added since the last call.
  [[nodiscard]] std::vector<Handle> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(handles_, {});
  }

  /// The supervisor's eventfd; -1: it hears no more.
  void set_bell(int descriptor) {
    const std::lock_guard lock(mutex_);
    bell_ = descriptor;
  }

 private:
  std::mutex mutex_;
  std::vector<Handle> handles_;
  int bell_ = -1;
};

}  // namespace procpool::detail
