// SPDX-License-Identifier: BSL-1.0

#include "doorbells.hpp"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <utility>

#include "run.hpp"

using model::Run;

namespace model {

namespace {

struct Bells {
  std::set<int> rung;  // descriptors
  int socket = -1;     // the supervisor's end
  bool is_ready = false;
  bool has_hung_up = false;
  bool zygote_was_rung = false;
};

Bells bells;

void ring(int descriptor) {
  bells.rung.insert(descriptor);
  Run::current()->wake(&bells, UINT64_MAX);
}

}  // namespace

void Doorbells::forget_all() { bells = {}; }

void Doorbells::wait_for_a_ring() {
  while (!bells.zygote_was_rung) Run::current()->sleep_on(&bells.zygote_was_rung, -1);
  bells.zygote_was_rung = false;
}

void Doorbells::ring_zygote() {
  bells.zygote_was_rung = true;
  Run::current()->wake(&bells.zygote_was_rung, UINT64_MAX);
}

void Doorbells::ring_supervisor() { ring(bells.socket); }

void Doorbells::hang_up() {
  bells.has_hung_up = true;
  ring(bells.socket);
}

}  // namespace model

using model::bells;

// The linker leads calls of each of these here (--wrap), and those of __real_… to the C library.
extern "C" {

pid_t __real_fork();
pid_t __real_waitpid(pid_t pid, int* status, int options);
ssize_t __real_recv(int socket, void* buffer, std::size_t size, int flags);
ssize_t __real_send(int socket, const void* buffer, std::size_t size, int flags);
int __real_poll(pollfd* watched, nfds_t count, int timeout);
int __real_eventfd_write(int descriptor, eventfd_t value);
int __real_eventfd_read(int descriptor, eventfd_t* value);

/// The parent's side of it; the scenario plays the child.
pid_t __wrap_fork() { return Run::current() == nullptr ? __real_fork() : 1; }

pid_t __wrap_waitpid(pid_t pid, int* status, int options) {
  if (Run::current() == nullptr) return __real_waitpid(pid, status, options);
  *status = 0;
  return pid;
}

/// The first message is the zygote's pid, the second that it is ready.
ssize_t __wrap_recv(int socket, void* buffer, std::size_t size, int flags) {
  Run* run = Run::current();
  if (run == nullptr) return __real_recv(socket, buffer, size, flags);
  if (bells.socket == -1) {
    const pid_t pid = 1;
    bells.socket = socket;
    std::memcpy(buffer, &pid, sizeof pid);
    return sizeof pid;
  }
  if (!std::exchange(bells.is_ready, true)) return 1;
  run->point("recv", nullptr, __builtin_return_address(0));
  if (bells.has_hung_up) return 0;
  if (bells.rung.erase(socket) != 0) return 1;
  errno = EAGAIN;
  return -1;
}

ssize_t __wrap_send(int socket, const void* buffer, std::size_t size, int flags) {
  Run* run = Run::current();
  if (run == nullptr) return __real_send(socket, buffer, size, flags);
  run->point("send", nullptr, __builtin_return_address(0));
  run->self().stores.drain_all();
  model::Doorbells::ring_zygote();
  return static_cast<ssize_t>(size);
}

int __wrap_poll(pollfd* watched, nfds_t count, int timeout) {
  Run* run = Run::current();
  if (run == nullptr) return __real_poll(watched, count, timeout);
  run->point("poll", nullptr, __builtin_return_address(0));
  const auto look = [&] {
    int found = 0;
    for (nfds_t i = 0; i < count; ++i) {
      watched[i].revents = watched[i].fd >= 0 && bells.rung.contains(watched[i].fd) ? POLLIN : short{0};
      found += watched[i].revents != 0 ? 1 : 0;
    }
    return found;
  };
  for (;;) {
    const int found = look();
    if (found != 0 || timeout == 0) return found;
    if (!run->sleep_on(&bells, timeout < 0 ? -1 : std::int64_t{timeout} * 1'000'000)) return look();
  }
}

int __wrap_eventfd_write(int descriptor, eventfd_t value) {
  Run* run = Run::current();
  if (run == nullptr) return __real_eventfd_write(descriptor, value);
  run->point("ring", nullptr, __builtin_return_address(0));
  run->self().stores.drain_all();
  model::ring(descriptor);
  return 0;
}

int __wrap_eventfd_read(int descriptor, eventfd_t* value) {
  Run* run = Run::current();
  if (run == nullptr) return __real_eventfd_read(descriptor, value);
  run->point("hear", nullptr, __builtin_return_address(0));
  bells.rung.erase(descriptor);
  *value = 1;
  return 0;
}

}  // extern "C"
