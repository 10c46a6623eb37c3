// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Signal masks and dispositions around a fork.

#include <pthread.h>
#include <signal.h>

#include <initializer_list>

namespace procpool::detail {

/// Blocks every signal in the calling thread for its own lifetime, so that no handler of the user's runs in a child
/// between fork and the reset of its handlers.
class SignalBlock {
 public:
  SignalBlock() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;
  ~SignalBlock() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

/// Gives every signal its default action. Called in a child only: the user's process keeps its handlers.
inline void reset_signal_handlers() noexcept {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
}

inline void ignore_signals(std::initializer_list<int> signals) noexcept {
  struct sigaction ignored {};
  ignored.sa_handler = SIG_IGN;
  for (const int signal : signals) ::sigaction(signal, &ignored, nullptr);
}

inline void unblock_all_signals() noexcept {
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace procpool::detail
