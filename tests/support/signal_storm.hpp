// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Signals whose handler does nothing and restarts nothing: every system call that can fail with EINTR does.

#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <string>
#include <thread>

#include "patience.hpp"

namespace support {

/// Has `signal` handled without SA_RESTART in this process, and counted. `count` lives as long as the process.
inline void count_signal(int signal, std::atomic<int>* count) {
  static std::atomic<int>* counter = nullptr;
  counter = count;
  struct sigaction action {};
  action.sa_handler = [](int) { ++*counter; };
  ::sigaction(signal, &action, nullptr);
}

/// From now on this process is interrupted every 200 µs, whichever of its threads it may be, until it ends.
inline void interrupt_for_ever(std::atomic<int>* count) {
  count_signal(SIGALRM, count);
  const itimerval often{{0, 200}, {0, 200}};
  ::setitimer(ITIMER_REAL, &often, nullptr);
}

/// Sends SIGUSR1 to every thread of this process but its own, again and again, for its lifetime.
class SignalStorm {
 public:
  explicit SignalStorm(std::atomic<int>* count) {
    count_signal(SIGUSR1, count);
    thread_ = std::thread([this] {
      while (!ends_) {
        signal_all();
        ::usleep(100);  // sleeps: lest it take a CPU from those whom it interrupts
      }
    });
  }
  SignalStorm(const SignalStorm&) = delete;
  SignalStorm& operator=(const SignalStorm&) = delete;
  ~SignalStorm() {
    ends_ = true;
    thread_.join();
  }

 private:
  static void signal_all() {
    std::error_code thread_has_ended;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", thread_has_ended)) {
      const ::pid_t thread = std::atoi(entry.path().filename().c_str());
      if (thread != ::gettid()) ::syscall(SYS_tgkill, ::getpid(), thread, SIGUSR1);
    }
  }

  std::atomic<bool> ends_{false};
  std::thread thread_;
};

}  // namespace support
