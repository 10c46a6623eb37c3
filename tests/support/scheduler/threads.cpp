// SPDX-License-Identifier: BSL-1.0

/// @file
/// std::thread under the scheduler: a fiber.

#include <pthread.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>

#include "run.hpp"

using model::Fiber;
using model::Run;

namespace {

/// As libstdc++ hands over what a thread is to run; the name of its own type is private.
struct ThreadState {
  virtual ~ThreadState() = default;
  virtual void run() = 0;
};

}  // namespace

// The linker leads the functions of std::thread here (--wrap), and what __real_… names to the C++ library.
extern "C" {

void __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
    std::thread* thread, std::unique_ptr<ThreadState>* state, void (*depend)());
void __real__ZNSt6thread4joinEv(std::thread* thread);
int __real_pthread_setname_np(pthread_t thread, const char* name);

void __wrap__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
    std::thread* thread, std::unique_ptr<ThreadState>* state, void (*depend)()) {
  Run* run = Run::current();
  if (run == nullptr) {
    return __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(thread, state,
                                                                                                        depend);
  }
  const std::shared_ptr<ThreadState> body = std::move(*state);
  Fiber* fiber = &run->start("thread", [body] { body->run(); });
  static_assert(sizeof(std::thread) == sizeof fiber);  // its identity, and nothing else
  std::memcpy(static_cast<void*>(thread), &fiber, sizeof fiber);
}

void __wrap__ZNSt6thread4joinEv(std::thread* thread) {
  Run* run = Run::current();
  if (run == nullptr) return __real__ZNSt6thread4joinEv(thread);
  Fiber* fiber = nullptr;
  std::memcpy(&fiber, static_cast<void*>(thread), sizeof fiber);
  run->join(*fiber);
  std::memset(static_cast<void*>(thread), 0, sizeof fiber);
}

int __wrap_pthread_setname_np(pthread_t thread, const char* name) {
  Run* run = Run::current();
  if (run == nullptr) return __real_pthread_setname_np(thread, name);
  run->self().name = name;
  return 0;
}

}  // extern "C"
