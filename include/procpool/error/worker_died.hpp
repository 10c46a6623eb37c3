// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The exception of a task whose worker died.

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <procpool/error/crash_stack.hpp>
#include <procpool/error/error.hpp>
#include <procpool/error/message.hpp>

namespace procpool {

/// What is known of a worker's death.
struct DeathReport {
  ::pid_t pid = 0;                                // the worker's; 0: unknown
  int signal = 0;                                 // that it crashed by, or that killed it; 0: none did
  int exit_status = -1;                           // of `_exit` or `exit`; -1: it did not exit
  std::string label = {};                         // of the task that it ran; empty: the task had none
  std::optional<std::size_t> position = {};       // of the item that it ran, in a map; empty: a single task
  std::optional<const void*> fault_address = {};  // that it could not access; empty: it died of something else
  CrashStack stack = {};                          // of the crash; empty: it did not crash, or was caught by another
  std::chrono::nanoseconds ran_for{0};            // the task, or chunk of a map, as far as the supervisor has seen
  std::size_t peak_memory = 0;                    // of the worker, bytes
  std::chrono::nanoseconds cpu_time{0};           // of the worker
  bool out_of_memory = false;                     // the kernel killed it because memory ran out
  int attempt = 1;                                // of the task, from 1
  std::vector<DeathReport> earlier = {};          // of the attempts before, the first one first
};

/// The worker that ran this task died: by a signal, or because the task ended its process. Only this task (of a map:
/// only this item) is lost; the worker is replaced and all others go on. Copies share their contents and never throw.
class WorkerDied : public Error {
 public:
  [[gnu::cold]] explicit WorkerDied(DeathReport report);

  // A move would leave no report behind, so copies are all there is.
  WorkerDied(const WorkerDied&) noexcept = default;
  WorkerDied& operator=(const WorkerDied&) noexcept = default;

  /// What happened, in a line; if the worker crashed, its stack below, a frame a line.
  [[nodiscard, gnu::cold]] const char* what() const noexcept override;

  [[nodiscard]] ::pid_t pid() const noexcept { return report().pid; }

  /// The signal that the worker crashed by, or that killed it; 0 if none did.
  [[nodiscard]] int signal() const noexcept { return report().signal; }

  /// The status that the worker exited with; -1 if it did not exit.
  [[nodiscard]] int exit_status() const noexcept { return report().exit_status; }

  /// The label of the task; empty if it had none.
  [[nodiscard]] const std::string& label() const noexcept { return report().label; }

  /// The position, from 0, of the item that killed the worker; empty if the task was no part of a map.
  [[nodiscard]] std::optional<std::size_t> position() const noexcept { return report().position; }

  /// The address that a SIGSEGV or SIGBUS was about, which may be null; null too if there was none, as
  /// has_fault_address() tells. Only a number: it is no address of this process.
  [[nodiscard]] const void* fault_address() const noexcept { return report().fault_address.value_or(nullptr); }

  [[nodiscard]] bool has_fault_address() const noexcept { return report().fault_address.has_value(); }

  /// The frames of the crash, innermost first, down to where the worker takes tasks: "function at file:line",
  /// "function (module+0xoffset)" or "module+0xoffset". Empty if the worker did not crash, or the task handles its
  /// crashes itself. Functions of a program have names only if it was linked with -rdynamic (CMake: ENABLE_EXPORTS) or
  /// procpool is used with libbacktrace. Throws std::bad_alloc.
  [[nodiscard]] const std::vector<std::string>& stack() const { return report().stack.lines(); }

  /// How long the pool's supervisor had seen the task run: as exact as its tick, some tens of milliseconds, so zero for
  /// a task that died soon. Of an item of a map it is the time of its whole chunk: of the items before it too.
  [[nodiscard]] std::chrono::nanoseconds ran_for() const noexcept { return report().ran_for; }

  /// The most memory that the worker had resident in its whole life, in bytes, what it shares with others included.
  [[nodiscard]] std::size_t peak_memory() const noexcept { return report().peak_memory; }

  /// The CPU time of the worker in its whole life: of all tasks that it ran, and of processes that they waited for.
  [[nodiscard]] std::chrono::nanoseconds cpu_time() const noexcept { return report().cpu_time; }

  /// True if the kernel killed the worker because memory ran out. It is known from this: the worker died by a SIGKILL
  /// that was not the pool's doing, and the kernel has counted more such kills since the pool was made than deaths were
  /// put down to it. That is the count of the memory cgroup of this process or, where that cannot be read, of the whole
  /// machine. So a SIGKILL from elsewhere passes for it if memory had run out for another process counted there; and it
  /// goes unseen in a worker that was moved to a cgroup of its own, or if a daemon in user space (systemd-oomd,
  /// earlyoom) killed it.
  [[nodiscard]] bool out_of_memory() const noexcept { return report().out_of_memory; }

  /// Which attempt at the task this was the end of, from 1.
  [[nodiscard]] int attempt() const noexcept { return report().attempt; }

  /// The deaths that ended the attempts before this one, the first one first.
  [[nodiscard]] const std::vector<DeathReport>& earlier() const noexcept { return report().earlier; }

 private:
  struct Shared {
    [[gnu::cold]] explicit Shared(DeathReport its_report) noexcept : report(std::move(its_report)) {}

    const DeathReport report;
    std::mutex mutex;
    std::string text;  // under the mutex until it is written, and the same ever after; empty: nobody has asked
  };

  [[nodiscard]] const DeathReport& report() const noexcept { return shared_->report; }

  std::shared_ptr<Shared> shared_;
};

namespace detail {

/// The name of a signal, as "SIGSEGV"; empty for one that has none, as the real-time signals.
[[nodiscard]] constexpr const char* signal_name(int signal) noexcept;

/// The first line of what WorkerDied says: which worker died of what, during which task, and what that means for the
/// others.
[[nodiscard, gnu::cold]] inline std::string death_message(const DeathReport& report);

/// Below `text`, a line for each frame; a recursion without end is shown as two of them and a count.
[[nodiscard, gnu::cold]] inline std::string with_stack(std::string text, const std::vector<std::string>& stack);

}  // namespace detail

inline WorkerDied::WorkerDied(DeathReport report)
    : Error(detail::death_message(report)), shared_(std::make_shared<Shared>(std::move(report))) {}

inline const char* WorkerDied::what() const noexcept {
  try {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->text.empty()) {
      shared_->text = detail::with_stack(Error::what(), stack());
    }
    return shared_->text.c_str();
  } catch (...) {  // Memory is short.
    return Error::what();
  }
}

constexpr const char* detail::signal_name(int signal) noexcept {
  switch (signal) {
    case SIGHUP: return "SIGHUP";
    case SIGINT: return "SIGINT";
    case SIGQUIT: return "SIGQUIT";
    case SIGILL: return "SIGILL";
    case SIGTRAP: return "SIGTRAP";
    case SIGABRT: return "SIGABRT";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGKILL: return "SIGKILL";
    case SIGUSR1: return "SIGUSR1";
    case SIGSEGV: return "SIGSEGV";
    case SIGUSR2: return "SIGUSR2";
    case SIGPIPE: return "SIGPIPE";
    case SIGALRM: return "SIGALRM";
    case SIGTERM: return "SIGTERM";
    case SIGVTALRM: return "SIGVTALRM";
    case SIGPROF: return "SIGPROF";
    case SIGXCPU: return "SIGXCPU";
    case SIGXFSZ: return "SIGXFSZ";
    case SIGIO: return "SIGIO";
    case SIGSYS: return "SIGSYS";
    default: return "";
  }
}

inline std::string detail::death_message(const DeathReport& report) {
  const MessagePart nothing("");
  const bool known = report.pid > 0;
  const bool killed = report.signal != 0;
  const bool exited = !killed && report.exit_status >= 0;
  const bool named = killed && *signal_name(report.signal) != '\0';
  const bool in_map = report.position.has_value();
  const bool labelled = !report.label.empty();
  const char* hint = exited ? "; a task must return or throw, never end its process" : "";
  if (report.signal == SIGKILL && !report.out_of_memory) {
    hint = "; a SIGKILL from outside is often the answer to exhausted memory (see dmesg)";
  }
  const std::string place = report.fault_address
                                ? " at address " + hexadecimal(reinterpret_cast<std::uintptr_t>(*report.fault_address))
                                : std::string();
  return message({known ? "worker " : "a worker", known ? MessagePart(report.pid) : nothing,
                  killed ? " died by signal " : (exited ? " exited with status " : " died"),
                  killed ? MessagePart(report.signal) : (exited ? MessagePart(report.exit_status) : nothing),
                  named ? " (" : "", named ? signal_name(report.signal) : "", named ? ")" : "", place,
                  report.out_of_memory ? ", killed by the kernel because memory ran out," : "", " while it ran ",
                  in_map ? "item " : "", in_map ? MessagePart(*report.position) : nothing, in_map ? " of " : "",
                  labelled ? "task \"" : (in_map ? "a map" : "a task"), report.label, labelled ? "\"" : "", hint,
                  "; its result is lost, all other tasks go on"});
}

inline std::string detail::with_stack(std::string text, const std::vector<std::string>& stack) {
  std::size_t same = 0;  // frames before this one that are the same as it
  for (std::size_t i = 0; i < stack.size(); ++i) {
    same = i > 0 && stack[i] == stack[i - 1] ? same + 1 : 0;
    if (same < 2) {
      text.append(message({"\n    #", i, " ", stack[i]}));
    } else if (i + 1 == stack.size() || stack[i + 1] != stack[i]) {
      text.append(message({"\n    ... and the same ", same - 1, same == 2 ? " more time" : " more times"}));
    }
  }
  return text;
}

}  // namespace procpool
