// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The descriptors of this process's pools, so that a zygote closes those of the others.
///
/// Shared by  the threads of one process. A zygote that kept another pool's socket open would hide its end of stream.

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace procpool::detail {

class DescriptorRegistry {
 public:
  static DescriptorRegistry& instance() {
    static DescriptorRegistry registry;
    return registry;
  }

  void add(int fd) {
    const std::lock_guard lock(mutex_);
    descriptors_.push_back(fd);
  }
  void remove(int fd) {
    const std::lock_guard lock(mutex_);
    std::erase(descriptors_, fd);
  }

  /// Held across a fork, so that the child finds the list whole.
  [[nodiscard]] std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

  /// In a child forked under the lock: closes what was registered, but for `kept`.
  void close_all_but(int kept) const noexcept {
    for (const int fd : descriptors_) {
      if (fd != kept) ::close(fd);
    }
  }

 private:
  std::mutex mutex_;
  std::vector<int> descriptors_;
};

/// Registers a descriptor for its own lifetime.
class RegisteredDescriptor {
 public:
  explicit RegisteredDescriptor(int fd) : fd_(fd) { DescriptorRegistry::instance().add(fd_); }
  RegisteredDescriptor(const RegisteredDescriptor&) = delete;
  RegisteredDescriptor& operator=(const RegisteredDescriptor&) = delete;
  ~RegisteredDescriptor() { DescriptorRegistry::instance().remove(fd_); }

 private:
  int fd_;
};

}  // namespace procpool::detail
