// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The descriptors of this process's pools, so that a zygote closes those of the others.
///
/// Shared by  the threads of one process. A zygote that kept another pool's socket open would hide its end of stream.
/// Crash      it dies with its process, whose descriptors the kernel closes; a zygote has a copy of its own.

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <mutex>
#include <utility>
#include <vector>

namespace procpool::detail {

class DescriptorRegistry {
 public:
  using Lock = std::unique_lock<std::mutex>;

  static DescriptorRegistry& instance() {
    static DescriptorRegistry registry;
    return registry;
  }

  /// Held while descriptors are made and while a zygote is forked, so that the child finds the list whole.
  [[nodiscard]] Lock lock() { return Lock(mutex_); }

  /// Only under the lock, as all that follows. Takes the memory for `count` calls of add(), before there is a
  /// descriptor that could be lost for want of it.
  void expect(std::size_t count) { descriptors_.reserve(descriptors_.size() + count); }
  void add(int fd) noexcept { descriptors_.push_back(fd); }
  void remove(int fd) noexcept { std::erase(descriptors_, fd); }

  /// In a child forked under the lock, which is taken: closes what was registered but for `kept`, and begins anew.
  void close_all_but(std::initializer_list<int> kept, Lock lock) noexcept {
    for (const int fd : descriptors_) {
      if (std::find(kept.begin(), kept.end(), fd) == kept.end()) ::close(fd);
    }
    descriptors_.clear();
    lock.unlock();
  }

 private:
  std::mutex mutex_;
  std::vector<int> descriptors_;
};

/// A descriptor that closes itself, and is registered for as long as it is open.
class RegisteredFd {
 public:
  /// The registry was told to expect it.
  RegisteredFd(const DescriptorRegistry::Lock& /*held*/, int fd) noexcept : fd_(fd) {
    DescriptorRegistry::instance().add(fd_);
  }
  RegisteredFd(RegisteredFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  RegisteredFd& operator=(RegisteredFd&&) = delete;
  ~RegisteredFd() { reset(); }

  void reset() noexcept {
    if (fd_ < 0) return;
    const DescriptorRegistry::Lock lock = DescriptorRegistry::instance().lock();
    DescriptorRegistry::instance().remove(fd_);
    ::close(std::exchange(fd_, -1));
  }

  /// Leaves the descriptor open, in a child whose registry has begun anew.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// Registers a descriptor of somebody else's for its own lifetime, which ends before the descriptor is closed.
class RegisteredDescriptor {
 public:
  explicit RegisteredDescriptor(int fd) : fd_(fd) {
    const DescriptorRegistry::Lock lock = DescriptorRegistry::instance().lock();
    DescriptorRegistry::instance().expect(1);
    DescriptorRegistry::instance().add(fd_);
  }
  RegisteredDescriptor(const RegisteredDescriptor&) = delete;
  RegisteredDescriptor& operator=(const RegisteredDescriptor&) = delete;
  ~RegisteredDescriptor() {
    const DescriptorRegistry::Lock lock = DescriptorRegistry::instance().lock();
    DescriptorRegistry::instance().remove(fd_);
  }

 private:
  int fd_;
};

}  // namespace procpool::detail
