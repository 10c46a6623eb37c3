// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a worker does when it crashes: it leaves the crash in its row, then dies of the same signal.
///
/// Shared by  one to a worker, called in whichever of its threads crashes. It writes the row's CrashRecord.
/// Progress   an unwinder that blocks, or a second crash in it, ends the process all the same: the first by an alarm.
/// Crash      what was found until then stands in the record.

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <procpool/detail/os/loaded_modules.hpp>
#include <procpool/detail/os/page_size.hpp>
#include <procpool/detail/os/raw_stack.hpp>
#include <procpool/detail/os/sanitizers.hpp>
#include <procpool/detail/pool/crash_record.hpp>
#include <procpool/detail/task/worker_self.hpp>

namespace procpool::detail {

/// The signals by which a program crashes.
inline constexpr int crash_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};

/// What the handler knows of its worker.
struct CrashScene {
  CrashRecord* record = nullptr;
  Life life = 0;
  std::uintptr_t outermost = 0;         // address of the worker's own outermost frame
  std::atomic<bool> is_entered{false};  // by the first thread that crashes
};

class CrashHandler {
 public:
  /// In the process that forks the workers, which inherit it: makes the stack that a stack overflow is handled on.
  /// Below it lies a page that nobody may touch.
  [[gnu::cold]] static void make_stack() noexcept;

  /// In a worker that knows that it is one, before it runs anything of the user's: handlers that the user's code sets
  /// later take the place of these. `outermost` is the frame address of the caller: the frames outside of it are not
  /// the user's business.
  [[gnu::cold]] static void install(CrashRecord& record, Life life, const void* outermost) noexcept;

 private:
  static constexpr unsigned longest_seconds = 3;  // that the unwinding may take
  static constexpr std::size_t stack_bytes = std::size_t{64} << 10;

  struct Walk {
    std::uintptr_t start;  // where it crashed; until the unwinder has come there, the frames are the handler's own
    std::uintptr_t end;    // a frame whose stack pointer is above it ends the walk
    bool has_started = false;
  };

  [[gnu::cold]] static void handle(int signal, ::siginfo_t* info, void* context) noexcept;
  [[gnu::cold]] static std::optional<const void*> fault_address(int signal, const ::siginfo_t& info) noexcept;
  [[gnu::cold]] static void unwind(::mcontext_t& machine, bool jumped_astray) noexcept;
  [[gnu::cold]] static _Unwind_Reason_Code take_frame(_Unwind_Context* context, void* walk) noexcept;
  [[gnu::cold]] static void set_alarm() noexcept;

  inline static constinit CrashScene scene_{};
};

inline void CrashHandler::make_stack() noexcept {
  if constexpr (is_sanitized) return;
  const std::size_t page = page_size();
  void* memory = ::mmap(nullptr, page + stack_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) return;  // The handler then runs on the stack that crashed.
  ::mprotect(memory, page, PROT_NONE);
  ::stack_t own{};
  own.ss_sp = static_cast<std::byte*>(memory) + page;
  own.ss_size = stack_bytes;
  ::sigaltstack(&own, nullptr);
}

inline void CrashHandler::install(CrashRecord& record, Life life, const void* outermost) noexcept {
  if constexpr (is_sanitized) return;
  scene_.record = &record;
  scene_.life = life;
  scene_.outermost = reinterpret_cast<std::uintptr_t>(outermost);
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  // A crash of the handler's own ends the process at once: the kernel sees to that where the signal is blocked.
  ::sigemptyset(&action.sa_mask);
  for (const int signal : crash_signals) ::sigaddset(&action.sa_mask, signal);
  for (const int signal : crash_signals) ::sigaction(signal, &action, nullptr);
}

inline void CrashHandler::handle(int signal, ::siginfo_t* info, void* context) noexcept {
  const WorkerSelf* self = current_worker();
  // A process that a task forked is not the worker; one of vfork(2) passes for it, but has a pid of its own.
  if (self != nullptr && self->home.pid() == ::getpid()) {
    // relaxed: it only counts.
    while (scene_.is_entered.exchange(true, std::memory_order_relaxed)) ::pause();  // Another thread crashed first.
    const std::optional<const void*> address = fault_address(signal, *info);
    scene_.record->begin(scene_.life, signal, address);
    set_alarm();
    ::mcontext_t& machine = static_cast<::ucontext_t*>(context)->uc_mcontext;
    const auto instruction = static_cast<std::uintptr_t>(machine.gregs[REG_RIP]);
    unwind(machine, signal == SIGSEGV && address && reinterpret_cast<std::uintptr_t>(*address) == instruction);
    for_each_code_segment([](const ::dl_phdr_info& module, std::uintptr_t begin, std::uintptr_t bytes) {
      if (scene_.record->has_frame_in(begin, bytes)) scene_.record->add_segment(segment_of(module, begin, bytes));
    });
    scene_.record->complete();
  }
  // It is blocked while this runs, and comes when this returns: where it crashed, as a debugger wants to see it.
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

/// Empty for a signal that was sent, and for an access by an address that is none (no bit pattern of 64 bits that the
/// processor takes for one): the kernel does not tell which then.
inline std::optional<const void*> CrashHandler::fault_address(int signal, const ::siginfo_t& info) noexcept {
  if ((signal != SIGSEGV && signal != SIGBUS) || info.si_code <= 0 || info.si_code == SI_KERNEL) return std::nullopt;
  return info.si_addr;
}

inline void CrashHandler::set_alarm() noexcept {
  ::signal(SIGALRM, SIG_DFL);
  ::sigset_t alarm;
  ::sigemptyset(&alarm);
  ::sigaddset(&alarm, SIGALRM);
  ::pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  ::alarm(longest_seconds);
}

/// Of a call through a bad pointer no unwinder knows how to go on from where it led to: it is shown the instruction
/// that called, as if it had crashed there.
inline void CrashHandler::unwind(::mcontext_t& machine, bool jumped_astray) noexcept {
  ::greg_t& instruction = machine.gregs[REG_RIP];
  ::greg_t& stack = machine.gregs[REG_RSP];
  const ::greg_t instruction_before = instruction;
  const ::greg_t stack_before = stack;
  scene_.record->add_frame(static_cast<std::uintptr_t>(instruction));
  std::uintptr_t caller = 0;
  if (jumped_astray) {
    caller = *std::bit_cast<const std::uintptr_t*>(stack);
    scene_.record->add_frame(caller);
    instruction = static_cast<::greg_t>(caller - 1);
    stack += static_cast<::greg_t>(sizeof caller);
  }
  const auto position = static_cast<std::uintptr_t>(stack);
  Walk walk{static_cast<std::uintptr_t>(instruction), position <= scene_.outermost ? scene_.outermost : UINTPTR_MAX};
  ::_Unwind_Backtrace(take_frame, &walk);
  instruction = instruction_before;
  stack = stack_before;
}

/// Another stack than that which the worker's own frames lie on ends where it ends.
inline _Unwind_Reason_Code CrashHandler::take_frame(_Unwind_Context* context, void* data) noexcept {
  Walk& walk = *static_cast<Walk*>(data);
  int is_before = 0;  // true: it has not executed the instruction, as only the one that crashed has not
  const auto address = static_cast<std::uintptr_t>(::_Unwind_GetIPInfo(context, &is_before));
  if (!walk.has_started) {
    walk.has_started = is_before != 0 && address == walk.start;
    return _URC_NO_REASON;
  }
  if (address == 0 || static_cast<std::uintptr_t>(::_Unwind_GetCFA(context)) > walk.end) return _URC_END_OF_STACK;
  return scene_.record->add_frame(address) ? _URC_NO_REASON : _URC_END_OF_STACK;
}

}  // namespace procpool::detail
