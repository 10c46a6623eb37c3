// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A mutex between processes that survives the death of its owner and damage to its memory.
///
/// Shared by  every process that maps it; initialized once, before any of them locks it.
/// Progress   blocking; the kernel hands it on when its owner dies (pthread_mutexattr_setrobust(3)).
/// Crash      a dead owner's lock goes to the next locker, who is told.

#include <errno.h>
#include <pthread.h>

#include <system_error>

#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

/// What an attempt to lock found.
enum class LockResult {
  acquired,
  acquired_from_dead_owner,  ///< locked and made consistent; what it guards may be half-changed
  busy,
  damaged,  ///< its memory no longer is a mutex of ours
};

/// Models Boost.Interprocess's mutex concept, so that its and the standard's locks take it.
class RobustMutex {
 public:
  RobustMutex() { initialize(); }
  RobustMutex(const RobustMutex&) = delete;
  RobustMutex& operator=(const RobustMutex&) = delete;

  /// Locks. If the owner has died: makes the mutex consistent, releases it and throws OwnerDied, once.
  void lock() {
    switch (lock_reporting()) {
      case LockResult::acquired: return;
      case LockResult::acquired_from_dead_owner: unlock(); break;
      default: throw std::system_error(EINVAL, std::generic_category(), "a shared mutex was damaged");
    }
    throw OwnerDied("the process that held this mutex has died; what the mutex guards may be half-changed");
  }

  /// As lock(), but false if another holds it.
  [[nodiscard]] bool try_lock() {
    const LockResult result = try_lock_reporting();
    if (result != LockResult::acquired_from_dead_owner) return result == LockResult::acquired;
    unlock();
    throw OwnerDied("the process that held this mutex has died; what the mutex guards may be half-changed");
  }

  void unlock() noexcept { ::pthread_mutex_unlock(&mutex_); }

  /// Locks in every case but `damaged`, and says whether the last owner died holding it. Never `busy`. A wild write may
  /// have made it look held by somebody who will never release it: where that must not hang, only ever try.
  [[nodiscard]] LockResult lock_reporting() noexcept {
    // After one wild byte here, even trying hangs or asserts; the fields that never change tell it beforehand.
    return looks_sound() ? judge(::pthread_mutex_lock(&mutex_)) : LockResult::damaged;
  }

  /// As lock_reporting(), without waiting.
  [[nodiscard]] LockResult try_lock_reporting() noexcept {
    return looks_sound() ? judge(::pthread_mutex_trylock(&mutex_)) : LockResult::damaged;
  }

  /// Makes it a free mutex, whatever it was. Only where nobody else can hold or want it.
  void initialize() {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    const int error = ::pthread_mutex_init(&mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
    if (error != 0) throw std::system_error(error, std::generic_category(), "pthread_mutex_init");
  }

 private:
  static constexpr int sound_kind = 128 + 16;  // glibc: process-shared and robust; an explicit type would add a bit

  [[nodiscard]] bool looks_sound() const noexcept { return mutex_.__data.__kind == sound_kind; }

  [[nodiscard]] LockResult judge(int error) noexcept {
    if (error == 0) return LockResult::acquired;
    if (error == EBUSY) return LockResult::busy;
    if (error == EOWNERDEAD && ::pthread_mutex_consistent(&mutex_) == 0) return LockResult::acquired_from_dead_owner;
    return LockResult::damaged;
  }

  pthread_mutex_t mutex_;  // written by whoever locks, and by the kernel when a holder dies
};

static_assert(sizeof(RobustMutex) == 40, "a slot's first cache line counts on it");

}  // namespace procpool::detail
