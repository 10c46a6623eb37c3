// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Leads a worker through its work instruction by instruction, by ptrace(2).

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace support {

/// The kernel, or a rule of the machine's, lets this process trace no worker.
class PtraceRefused : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Holds a worker at an instruction. All calls come from the thread that made it, since ptrace obeys no other; each
/// returns when the worker stands still again, and no clock decides where that is. A worker that ends meanwhile by
/// itself is a std::runtime_error.
class SingleStepper {
 public:
  /// Stops `worker` where it goes to sleep on the futex at `bed`: in the system call, which has not begun.
  SingleStepper(::pid_t worker, const void* bed);
  SingleStepper(const SingleStepper&) = delete;
  SingleStepper& operator=(const SingleStepper&) = delete;
  /// The worker goes on by itself.
  ~SingleStepper();

  /// Lets it execute one instruction, a system call being one, and one that repeats itself (rep movsb) too. False if
  /// the next one would send it to sleep on its bed: then it executes none.
  [[nodiscard]] bool step();

  /// Lets it run up to the instruction at `address`, where it must not stand yet. False if it would go to sleep on its
  /// bed before; then it is in the system call.
  [[nodiscard]] bool run_to(std::uintptr_t address);

  /// The address of its next instruction.
  [[nodiscard]] std::uintptr_t next_instruction() const;

  /// Kills it by SIGKILL, before its next instruction, and lets its parent know.
  void kill();

  [[nodiscard]] ::pid_t worker() const noexcept { return worker_; }

 private:
  void lead_to_bed();
  [[nodiscard]] bool run_to_stop();
  void resume(int request);
  [[nodiscard]] int wait_for_stop();

  ::pid_t worker_;
  const void* bed_;
  bool is_held_ = false;
  bool is_in_bed_ = false;  // in the system call
  int pending_signal_ = 0;  // to be delivered when it goes on
};

/// The way of a worker from its bed through a task and back. A later worker with the same task is led to any
/// instruction of it in a few moves, where stepping would stop it thousands of times.
class Route {
 public:
  /// Steps all the way, to the worker's bed.
  explicit Route(SingleStepper& guide);

  /// How many instructions it has.
  [[nodiscard]] std::size_t length() const noexcept { return addresses_.size() - 1; }

  /// How many of the first `instructions` a worker is led through one by one: many only in a long loop.
  [[nodiscard]] std::size_t steps_to(std::size_t instructions) const {
    return instructions - landmarks_.at(instructions);
  }

  /// Leads a worker in its bed through the first `instructions` of the route. False if it comes to stand elsewhere,
  /// since it takes another way, or would go to sleep on its bed before.
  [[nodiscard]] bool follow(SingleStepper& worker, std::size_t instructions) const;

 private:
  std::vector<std::uintptr_t> addresses_;  // of the next instruction, after so many
  std::vector<std::size_t> landmarks_;     // the last place up to there that was not passed before
};

}  // namespace support
