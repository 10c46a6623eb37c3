// SPDX-License-Identifier: BSL-1.0

/// @file
/// What the compiler, told -fsanitize=thread, calls for each access to memory, and what the linker leads here of the
/// calls of the C library (--wrap): both take place on the machine that counts.

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#include <chrono>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "machine.hpp"

using lines::Access;
using lines::Machine;

namespace {

void plain(const volatile void* address, std::size_t size, Access access) {
  if (Machine* machine = Machine::current()) machine->access(address, size, access);
}

template <class T>
T load(const volatile T* address) {
  plain(address, sizeof(T), Access::read);
  return *address;
}

/// Of the strongest order: the processor waits for it.
template <class T>
void store(volatile T* address, T value, int order) {
  plain(address, sizeof(T), order == __ATOMIC_SEQ_CST ? Access::change : Access::write);
  *address = value;
}

template <class T, class Change>
T change(volatile T* address, Change change) {
  plain(address, sizeof(T), Access::change);
  const T before = *address;
  *address = change(before);
  return before;
}

template <class T>
bool exchange_if(volatile T* address, T* expected, T value) {
  const T before = change(address, [&](T word) { return word == *expected ? value : word; });
  if (before == *expected) return true;
  *expected = before;
  return false;
}

}  // namespace

#define ATOMICS_OF(BITS, TYPE)                                                                      \
  TYPE __tsan_atomic##BITS##_load(const volatile TYPE* a, int) { return load(a); }                  \
  void __tsan_atomic##BITS##_store(volatile TYPE* a, TYPE v, int order) { store(a, v, order); }     \
  TYPE __tsan_atomic##BITS##_exchange(volatile TYPE* a, TYPE v, int) {                              \
    return change(a, [v](TYPE) { return v; });                                                      \
  }                                                                                                 \
  TYPE __tsan_atomic##BITS##_fetch_add(volatile TYPE* a, TYPE v, int) {                             \
    return change(a, [v](TYPE word) { return static_cast<TYPE>(word + v); });                       \
  }                                                                                                 \
  TYPE __tsan_atomic##BITS##_fetch_sub(volatile TYPE* a, TYPE v, int) {                             \
    return change(a, [v](TYPE word) { return static_cast<TYPE>(word - v); });                       \
  }                                                                                                 \
  TYPE __tsan_atomic##BITS##_fetch_and(volatile TYPE* a, TYPE v, int) {                             \
    return change(a, [v](TYPE word) { return static_cast<TYPE>(word & v); });                       \
  }                                                                                                 \
  TYPE __tsan_atomic##BITS##_fetch_or(volatile TYPE* a, TYPE v, int) {                              \
    return change(a, [v](TYPE word) { return static_cast<TYPE>(word | v); });                       \
  }                                                                                                 \
  TYPE __tsan_atomic##BITS##_fetch_xor(volatile TYPE* a, TYPE v, int) {                             \
    return change(a, [v](TYPE word) { return static_cast<TYPE>(word ^ v); });                       \
  }                                                                                                 \
  bool __tsan_atomic##BITS##_compare_exchange_strong(volatile TYPE* a, TYPE* e, TYPE v, int, int) { \
    return exchange_if(a, e, v);                                                                    \
  }                                                                                                 \
  bool __tsan_atomic##BITS##_compare_exchange_weak(volatile TYPE* a, TYPE* e, TYPE v, int, int) {   \
    return exchange_if(a, e, v);                                                                    \
  }                                                                                                 \
  TYPE __tsan_atomic##BITS##_compare_exchange_val(volatile TYPE* a, TYPE e, TYPE v, int, int) {     \
    exchange_if(a, &e, v);                                                                          \
    return e;                                                                                       \
  }

#define PLAIN_OF(SIZE)                                                                \
  void __tsan_read##SIZE(const void* a) { plain(a, SIZE, Access::read); }             \
  void __tsan_unaligned_read##SIZE(const void* a) { plain(a, SIZE, Access::read); }   \
  void __tsan_volatile_read##SIZE(const void* a) { plain(a, SIZE, Access::read); }    \
  void __tsan_write##SIZE(const void* a) { plain(a, SIZE, Access::write); }           \
  void __tsan_unaligned_write##SIZE(const void* a) { plain(a, SIZE, Access::write); } \
  void __tsan_volatile_write##SIZE(const void* a) { plain(a, SIZE, Access::write); }

#ifdef __clang__
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"  // The linker knows C++ functions by such names.
#endif

extern "C" {

ATOMICS_OF(8, std::uint8_t)
ATOMICS_OF(16, std::uint16_t)
ATOMICS_OF(32, std::uint32_t)
ATOMICS_OF(64, std::uint64_t)

PLAIN_OF(1)
PLAIN_OF(2)
PLAIN_OF(4)
PLAIN_OF(8)
PLAIN_OF(16)

void __tsan_read_range(const void* a, std::size_t size) { plain(a, size, Access::read); }
void __tsan_write_range(const void* a, std::size_t size) { plain(a, size, Access::write); }
void* __tsan_memcpy(void* to, const void* from, std::size_t size) {
  if (size > 0) plain(from, size, Access::read);
  if (size > 0) plain(to, size, Access::write);
  return std::memcpy(to, from, size);
}
void* __tsan_memmove(void* to, const void* from, std::size_t size) {
  if (size > 0) plain(from, size, Access::read);
  if (size > 0) plain(to, size, Access::write);
  return std::memmove(to, from, size);
}
void* __tsan_memset(void* to, int byte, std::size_t size) {
  if (size > 0) plain(to, size, Access::write);
  return std::memset(to, byte, size);
}
void __tsan_vptr_read(const void*) {}
void __tsan_vptr_update(const void*, const void*) {}
void __tsan_func_entry(const void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
int __real_pthread_mutex_lock(pthread_mutex_t* mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t* mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t* mutex);
int __real_sched_getcpu();
std::chrono::steady_clock::time_point __real__ZNSt6chrono3_V212steady_clock3nowEv();

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long given[6];
  for (long& each : given) each = va_arg(list, long);
  va_end(list);
  Machine* machine = Machine::current();
  if (machine == nullptr || number != SYS_futex) {
    return __real_syscall(number, given[0], given[1], given[2], given[3], given[4], given[5]);
  }
  const auto* word = reinterpret_cast<const volatile std::uint32_t*>(given[0]);
  if (given[1] == FUTEX_WAKE) return machine->wake(word, static_cast<int>(given[2]));
  const auto* timeout = reinterpret_cast<const timespec*>(given[3]);
  const lines::Time limit = timeout == nullptr ? -1 : timeout->tv_sec * 1'000'000'000 + timeout->tv_nsec;
  if (machine->sleep_on(word, static_cast<std::uint32_t>(given[2]), limit)) return 0;
  errno = ETIMEDOUT;
  return -1;
}

// A mutex is free: those in shared memory are a task's own, the others belong to the one thread of the caller.

int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
  plain(&mutex->__data.__lock, sizeof mutex->__data.__lock, Access::change);
  plain(&mutex->__data.__owner, sizeof mutex->__data.__owner, Access::write);
  return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t* mutex) {
  plain(&mutex->__data.__lock, sizeof mutex->__data.__lock, Access::change);
  plain(&mutex->__data.__owner, sizeof mutex->__data.__owner, Access::write);
  return __real_pthread_mutex_trylock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex) {
  plain(&mutex->__data.__owner, sizeof mutex->__data.__owner, Access::write);
  plain(&mutex->__data.__lock, sizeof mutex->__data.__lock, Access::change);
  return __real_pthread_mutex_unlock(mutex);
}

int __wrap_sched_getcpu() {
  Machine* machine = Machine::current();
  return machine == nullptr ? __real_sched_getcpu() : static_cast<int>(machine->core());
}

std::chrono::steady_clock::time_point __wrap__ZNSt6chrono3_V212steady_clock3nowEv() {
  Machine* machine = Machine::current();
  if (machine == nullptr) return __real__ZNSt6chrono3_V212steady_clock3nowEv();
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(machine->now()));
}

}  // extern "C"
