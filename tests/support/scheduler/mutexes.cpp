// SPDX-License-Identifier: BSL-1.0

#include "mutexes.hpp"

#include <errno.h>

#include <unordered_map>

#include "run.hpp"

namespace model {

namespace {

struct Mutex {
  const Fiber* owner = nullptr;
  bool was_left_by_the_dead = false;
};

std::unordered_map<const pthread_mutex_t*, Mutex>& mutexes() {
  // More buckets than a run has mutexes: it never moves, for memory that is given back writes what waits, which is
  // mutexes too.
  static std::unordered_map<const pthread_mutex_t*, Mutex> all(8192);
  return all;
}

int orphans = 0;

void release(volatile void* address) {
  const auto* mutex = const_cast<const pthread_mutex_t*>(static_cast<volatile pthread_mutex_t*>(address));
  mutexes()[mutex].owner = nullptr;
  Run::current()->wake(address, 1);
}

int take(Run& run, Mutex& mutex) {
  mutex.owner = &run.self();
  return mutex.was_left_by_the_dead ? EOWNERDEAD : 0;
}

}  // namespace

void Mutexes::forget_all() { mutexes().clear(); }

void Mutexes::bury(const Fiber& fiber) {
  for (auto& [address, mutex] : mutexes()) {
    if (mutex.owner != &fiber) continue;
    mutex = {nullptr, true};
    if ((address->__data.__kind & 16) == 0) Run::current()->fail(fiber.name + " died with a mutex that is not robust");
    ++orphans;
    Run::current()->wake(address, 1);
  }
}

int Mutexes::orphaned() noexcept { return orphans; }

}  // namespace model

using model::Run;

// The linker leads calls of pthread_mutex_… here (--wrap), and those of __real_… to the C library.
extern "C" {

int __real_pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes);
int __real_pthread_mutex_lock(pthread_mutex_t* mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t* mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t* mutex);
int __real_pthread_mutex_consistent(pthread_mutex_t* mutex);

int __wrap_pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes) {
  if (Run::current() != nullptr) model::mutexes()[mutex] = {};
  return __real_pthread_mutex_init(mutex, attributes);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
  Run* run = Run::current();
  if (run == nullptr) return __real_pthread_mutex_lock(mutex);
  run->point("lock", mutex, __builtin_return_address(0));
  run->self().stores.drain_address(mutex);
  while (model::mutexes()[mutex].owner != nullptr) run->sleep_on(mutex, -1);
  return model::take(*run, model::mutexes()[mutex]);
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t* mutex) {
  Run* run = Run::current();
  if (run == nullptr) return __real_pthread_mutex_trylock(mutex);
  run->point("try to lock", mutex, __builtin_return_address(0));
  run->self().stores.drain_address(mutex);
  model::Mutex& found = model::mutexes()[mutex];
  return found.owner != nullptr ? EBUSY : model::take(*run, found);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex) {
  Run* run = Run::current();
  if (run == nullptr) return __real_pthread_mutex_unlock(mutex);
  run->point("unlock", mutex, __builtin_return_address(0));
  run->release(mutex, model::release);
  return 0;
}

int __wrap_pthread_mutex_consistent(pthread_mutex_t* mutex) {
  if (Run::current() == nullptr) return __real_pthread_mutex_consistent(mutex);
  model::mutexes()[mutex].was_left_by_the_dead = false;
  return 0;
}

}  // extern "C"
