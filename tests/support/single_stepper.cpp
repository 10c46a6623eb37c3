// SPDX-License-Identifier: BSL-1.0

#include "single_stepper.hpp"

#include <linux/futex.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <system_error>

namespace support {

namespace {

constexpr int stop_at_system_call = SIGTRAP | 0x80;  // as PTRACE_O_TRACESYSGOOD marks it

/// The one call of ptrace, whose arguments are numbers or addresses as the request wants it.
long trace(int request, ::pid_t worker, std::uintptr_t address, std::uintptr_t data) {
  errno = 0;
  const long answer = ::ptrace(static_cast<__ptrace_request>(request), worker, address, data);
  if (errno != 0) {
    throw std::system_error(errno, std::generic_category(), "ptrace request " + std::to_string(request));
  }
  return answer;
}

user_regs_struct registers_of(::pid_t worker) {
  user_regs_struct registers{};
  trace(PTRACE_GETREGS, worker, 0, std::bit_cast<std::uintptr_t>(&registers));
  return registers;
}

/// Whether a system call of that number, with what the registers hold, sleeps on `bed`.
bool is_sleep(const user_regs_struct& registers, std::uint64_t number, const void* bed) {
  const int operation = static_cast<int>(registers.rsi) & FUTEX_CMD_MASK;
  return number == SYS_futex && registers.rdi == std::bit_cast<std::uintptr_t>(bed) &&
         (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET);
}

/// Whether a stop at a system call is at its beginning: it has no answer yet.
bool is_beginning(const user_regs_struct& registers) { return static_cast<std::int64_t>(registers.rax) == -ENOSYS; }

bool is_at_system_call(const user_regs_struct& registers, ::pid_t worker) {
  constexpr long two_bytes = 0xFFFF;
  constexpr long syscall_instruction = 0x050F;
  return (trace(PTRACE_PEEKTEXT, worker, registers.rip, 0) & two_bytes) == syscall_instruction;
}

/// The bytes of an instruction that moves or fills memory again and again, as the copies and fills of the C library do;
/// 0: it is another.
std::size_t size_of_repeated(std::uint64_t code) {
  const auto byte = [code](std::size_t at) { return code >> (8 * at) & 0xFF; };
  const bool is_wide = (byte(1) & 0xF0) == 0x40;  // a prefix
  const std::uint64_t operation = byte(is_wide ? 2 : 1);
  const bool moves_or_fills = operation == 0xA4 || operation == 0xA5 || operation == 0xAA || operation == 0xAB;
  if (byte(0) != 0xF3 || !moves_or_fills) return 0;
  return is_wide ? 3 : 2;
}

}  // namespace

SingleStepper::SingleStepper(::pid_t worker, const void* bed) : worker_(worker), bed_(bed) {
  // Should this process end, the worker must not stand still for ever.
  constexpr std::uintptr_t options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD;
  if (::ptrace(PTRACE_SEIZE, worker, nullptr, options) != 0) {
    if (errno == ESRCH) throw std::system_error(errno, std::generic_category(), "the worker to be traced");
    throw PtraceRefused(std::string("ptrace of a worker: ") + std::strerror(errno));
  }
  is_held_ = true;
  try {
    trace(PTRACE_INTERRUPT, worker_, 0, 0);
    static_cast<void>(wait_for_stop());
    lead_to_bed();
  } catch (...) {
    if (is_held_) kill();  // The destructor, which would let it go, is not called.
    throw;
  }
}

SingleStepper::~SingleStepper() {
  if (is_held_) ::ptrace(PTRACE_DETACH, worker_, nullptr, static_cast<std::uintptr_t>(pending_signal_));
}

void SingleStepper::lead_to_bed() {
  // A worker that was interrupted in its sleep begins the call anew.
  while (!is_in_bed_) static_cast<void>(run_to_stop());
}

/// Runs to the next system call, its end, or a trap: true if that.
bool SingleStepper::run_to_stop() {
  is_in_bed_ = false;
  resume(PTRACE_SYSCALL);
  const int status = wait_for_stop();
  if (WSTOPSIG(status) != stop_at_system_call) return status >> 8 == SIGTRAP;
  const user_regs_struct registers = registers_of(worker_);
  is_in_bed_ = is_beginning(registers) && is_sleep(registers, registers.orig_rax, bed_);
  return false;
}

bool SingleStepper::step() {
  if (!is_in_bed_) {
    const user_regs_struct registers = registers_of(worker_);
    if (is_sleep(registers, registers.rax, bed_) && is_at_system_call(registers, worker_)) return false;
  }
  is_in_bed_ = false;
  const std::uintptr_t address = next_instruction();
  do resume(PTRACE_SINGLESTEP);
  while (wait_for_stop() >> 8 != SIGTRAP);  // It was stopped by a signal, or an event.
  if (next_instruction() != address) return true;
  const auto code = static_cast<std::uint64_t>(trace(PTRACE_PEEKTEXT, worker_, address, 0));
  // It stops after each of its rounds, of which there may be 100,000.
  if (const std::size_t size = size_of_repeated(code); size != 0) static_cast<void>(run_to(address + size));
  return true;
}

bool SingleStepper::run_to(std::uintptr_t address) {
  constexpr std::uintptr_t one_byte = 0xFF;
  constexpr std::uintptr_t breakpoint_instruction = 0xCC;
  const auto code = static_cast<std::uintptr_t>(trace(PTRACE_PEEKTEXT, worker_, address, 0));
  trace(PTRACE_POKETEXT, worker_, address, (code & ~one_byte) | breakpoint_instruction);
  bool is_trapped = false;
  do is_trapped = run_to_stop();
  while (!is_trapped && !is_in_bed_);
  trace(PTRACE_POKETEXT, worker_, address, code);
  if (is_trapped) {
    user_regs_struct registers = registers_of(worker_);
    registers.rip = address;  // It stands behind the breakpoint.
    trace(PTRACE_SETREGS, worker_, 0, std::bit_cast<std::uintptr_t>(&registers));
  }
  return is_trapped;
}

std::uintptr_t SingleStepper::next_instruction() const { return registers_of(worker_).rip; }

void SingleStepper::kill() {
  ::kill(worker_, SIGKILL);
  int status = 0;
  do {
    // The tracer is told first; only then is it a dead child of its parent's.
    if (::waitpid(worker_, &status, __WALL) < 0 && errno != EINTR) {
      throw std::system_error(errno, std::generic_category(), "the death of a worker that was traced");
    }
  } while (WIFSTOPPED(status));
  is_held_ = false;
}

void SingleStepper::resume(int request) {
  trace(request, worker_, 0, static_cast<std::uintptr_t>(pending_signal_));
  pending_signal_ = 0;
}

/// The status of the stop. A signal that stopped it is delivered when it goes on.
int SingleStepper::wait_for_stop() {
  int status = 0;
  while (::waitpid(worker_, &status, __WALL) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waiting for a worker that is traced");
  }
  if (!WIFSTOPPED(status)) {
    is_held_ = false;
    throw std::runtime_error("the worker ended while it was traced, with status " + std::to_string(status));
  }
  const bool is_event = status >> 16 != 0;
  const int signal = WSTOPSIG(status);
  if (!is_event && signal != SIGTRAP && signal != stop_at_system_call) pending_signal_ = signal;
  return status;
}

Route::Route(SingleStepper& guide) {
  std::set<std::uintptr_t> passed;
  addresses_.push_back(guide.next_instruction());
  landmarks_.push_back(0);
  while (guide.step()) {
    const std::uintptr_t address = guide.next_instruction();
    landmarks_.push_back(passed.insert(address).second ? addresses_.size() : landmarks_.back());
    addresses_.push_back(address);
  }
}

/// It runs to the last instruction that the guide came to for the first time, and steps from there.
bool Route::follow(SingleStepper& worker, std::size_t instructions) const {
  std::size_t passed = landmarks_.at(instructions);
  if (passed > 0 && !worker.run_to(addresses_[passed])) return false;
  for (; passed < instructions; ++passed) {
    if (!worker.step()) return false;
  }
  return worker.next_instruction() == addresses_[instructions];
}

}  // namespace support
