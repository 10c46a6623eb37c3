// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a test and the workers of its pools look at together, so that no test need guess how long something takes.

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <new>

#include <procpool/detail/os/futex.hpp>

#include "patience.hpp"

namespace support {

/// A `T` in memory that this process shares with all that it forks from then on: to be made before the pool. A task
/// captures the pointer.
template <class T>
class Shared {
 public:
  Shared() : object_(map()) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::munmap(object_, sizeof(T)); }

  [[nodiscard]] T* get() const noexcept { return object_; }
  [[nodiscard]] T* operator->() const noexcept { return object_; }
  [[nodiscard]] T& operator*() const noexcept { return *object_; }

 private:
  static T* map() {
    void* memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return ::new (memory) T{};
  }

  T* object_;
};

/// Counts in all processes.
using SharedCount = Shared<std::atomic<int>>;

/// A gate at which tasks wait until the test opens it.
class Gate {
 public:
  /// In a task: tells that it has come, and waits. A process that waits in vain ends, so that no test hangs for ever.
  void pass() noexcept {
    ++arrived_;
    if (is_open_.load() == 0) procpool::detail::futex_wait(&is_open_, 0, longest_wait);
    if (is_open_.load() == 0) ::_exit(EXIT_FAILURE);
  }

  void open() noexcept {
    is_open_ = 1;
    procpool::detail::futex_wake(&is_open_);
  }

  /// Waits until `tasks` have come in all; false if they do not.
  [[nodiscard]] bool is_reached_by(int tasks) const {
    return eventually([&] { return arrived_.load() >= tasks; }, longest_wait);
  }
  [[nodiscard]] int arrived() const noexcept { return arrived_.load(); }

 private:
  static constexpr std::chrono::seconds longest_wait{20};

  std::atomic<int> arrived_{0};
  std::atomic<std::uint32_t> is_open_{0};
};

using SharedGate = Shared<Gate>;

/// Opens a gate at the end of a scope, also when a check has failed: what a pool's destructor waits for must go on.
class OpensAtEnd {
 public:
  explicit OpensAtEnd(const SharedGate& gate) noexcept : gate_(gate.get()) {}
  OpensAtEnd(const OpensAtEnd&) = delete;
  OpensAtEnd& operator=(const OpensAtEnd&) = delete;
  ~OpensAtEnd() { gate_->open(); }

 private:
  Gate* gate_;
};

}  // namespace support
