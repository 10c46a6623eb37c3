// SPDX-License-Identifier: BSL-1.0

/// @file
/// What code under the scheduler asks of the kernel: time, sleep, memory.

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdarg>
#include <cstdint>

#include "run.hpp"

using model::Run;

namespace {

/// As futex(2): compares and falls asleep in one step.
long futex_wait(Run& run, const volatile std::uint32_t* word, std::uint32_t expected, const timespec* timeout) {
  if (*word != expected) {
    errno = EAGAIN;
    return -1;
  }
  const std::int64_t limit = timeout == nullptr ? -1 : timeout->tv_sec * 1'000'000'000 + timeout->tv_nsec;
  if (run.sleep_on(word, limit)) return 0;
  errno = ETIMEDOUT;
  return -1;
}

long futex(Run& run, long address, long operation, long number, long timeout) {
  const auto* word = reinterpret_cast<const volatile std::uint32_t*>(address);
  if (operation == FUTEX_WAIT) {
    return futex_wait(run, word, static_cast<std::uint32_t>(number), reinterpret_cast<const timespec*>(timeout));
  }
  if (operation == FUTEX_WAKE) return run.wake(word, static_cast<std::uint64_t>(number));
  run.fail("a futex operation that the model does not know");
}

}  // namespace

// The linker leads calls of each of these here (--wrap), and those of __real_… to the C library.
#ifdef __clang__
#pragma clang diagnostic ignored "-Wreturn-type-c-linkage"  // The linker knows C++ functions by such names.
#endif

extern "C" {

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
int __real_fallocate(int descriptor, int mode, off_t offset, off_t length);
int __real_sched_yield();
int __real_sched_getcpu();
int __real_pause();
std::chrono::steady_clock::time_point __real__ZNSt6chrono3_V212steady_clock3nowEv();

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long given[6];
  for (long& each : given) each = va_arg(list, long);
  va_end(list);
  Run* run = Run::current();
  if (run != nullptr && number == SYS_pidfd_open) {  // The zygote of a run is no process.
    errno = ENOSYS;
    return -1;
  }
  if (run == nullptr || number != SYS_futex) {
    return __real_syscall(number, given[0], given[1], given[2], given[3], given[4], given[5]);
  }
  run->point(given[1] == FUTEX_WAIT ? "futex wait" : "futex wake", reinterpret_cast<void*>(given[0]),
             __builtin_return_address(0));
  run->self().stores.drain_all();  // The kernel has a barrier there.
  return futex(*run, given[0], given[1], given[2], given[3]);
}

/// The kernel gives memory at the first touch as well, and a run touches little.
int __wrap_fallocate(int descriptor, int mode, off_t offset, off_t length) {
  return Run::current() == nullptr ? __real_fallocate(descriptor, mode, offset, length) : 0;
}

int __wrap_sched_yield() {
  Run* run = Run::current();
  if (run == nullptr) return __real_sched_yield();
  run->yield();
  run->point("yield", nullptr, __builtin_return_address(0));
  return 0;
}

/// Each on a CPU of its own: nobody makes way for anybody.
int __wrap_sched_getcpu() { return Run::current() == nullptr ? __real_sched_getcpu() : -1; }

/// Until it is killed.
int __wrap_pause() {
  Run* run = Run::current();
  if (run == nullptr) return __real_pause();
  run->sleep_on(&run->self(), -1);
  return -1;
}

std::chrono::steady_clock::time_point __wrap__ZNSt6chrono3_V212steady_clock3nowEv() {
  Run* run = Run::current();
  if (run == nullptr) return __real__ZNSt6chrono3_V212steady_clock3nowEv();
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(run->read_clock()));
}

}  // extern "C"
