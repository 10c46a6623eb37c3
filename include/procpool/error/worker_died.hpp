// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The exception of a task whose worker died.

#include <signal.h>
#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <procpool/error/error.hpp>
#include <procpool/error/message.hpp>

namespace procpool {

/// What is known of a worker's death.
struct DeathReport {
  ::pid_t pid = 0;                           // the worker's; 0: unknown
  int signal = 0;                            // that killed it; 0: none did
  int exit_status = -1;                      // of `_exit` or `exit`; -1: it did not exit
  std::string label = {};                    // of the task that it ran; empty: the task had none
  std::optional<std::size_t> position = {};  // of the item that it ran, in a map; empty: a single task
  int attempt = 1;                           // the try that ended so; above 1 only if retries were allowed
  std::vector<DeathReport> earlier = {};     // of the tries before, oldest first
};

/// The worker that ran this task died: by a signal, or because the task ended its process. Only this task (of a map:
/// only this item) is lost; the worker is replaced and all others go on. Copies share their contents and never throw.
class WorkerDied : public Error {
 public:
  explicit WorkerDied(DeathReport report);

  // A move would leave no report behind, so copies are all there is.
  WorkerDied(const WorkerDied&) noexcept = default;
  WorkerDied& operator=(const WorkerDied&) noexcept = default;

  [[nodiscard]] ::pid_t pid() const noexcept { return report_->pid; }

  /// The signal that killed the worker; 0 if none did.
  [[nodiscard]] int signal() const noexcept { return report_->signal; }

  /// The status that the worker exited with; -1 if it did not exit.
  [[nodiscard]] int exit_status() const noexcept { return report_->exit_status; }

  /// The label of the task; empty if it had none.
  [[nodiscard]] const std::string& label() const noexcept { return report_->label; }

  /// The position, from 0, of the item that killed the worker; empty if the task was no part of a map.
  [[nodiscard]] std::optional<std::size_t> position() const noexcept { return report_->position; }

  /// Which try of the task this was, from 1: above that only if TaskOptions allow retries.
  [[nodiscard]] int attempt() const noexcept { return report_->attempt; }

  /// The deaths of the tries before this one, oldest first.
  [[nodiscard]] const std::vector<DeathReport>& earlier() const noexcept { return report_->earlier; }

 private:
  std::shared_ptr<const DeathReport> report_;
};

namespace detail {

/// The name of a signal, as "SIGSEGV"; empty for one that has none, as the real-time signals.
[[nodiscard]] constexpr const char* signal_name(int signal) noexcept;

/// The message of WorkerDied: which worker died of what, during which task, and what that means for the others.
[[nodiscard, gnu::cold]] inline std::string death_message(const DeathReport& report);

}  // namespace detail

inline WorkerDied::WorkerDied(DeathReport report)
    : Error(detail::death_message(report)), report_(std::make_shared<const DeathReport>(std::move(report))) {}

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
  if (report.signal == SIGKILL) hint = "; a SIGKILL from outside is often the answer to exhausted memory (see dmesg)";
  return message({known ? "worker " : "a worker", known ? MessagePart(report.pid) : nothing,
                  killed ? " died by signal " : (exited ? " exited with status " : " died"),
                  killed ? MessagePart(report.signal) : (exited ? MessagePart(report.exit_status) : nothing),
                  named ? " (" : "", named ? signal_name(report.signal) : "", named ? ")" : "", " while it ran ",
                  in_map ? "item " : "", in_map ? MessagePart(*report.position) : nothing, in_map ? " of " : "",
                  labelled ? "task \"" : (in_map ? "a map" : "a task"), report.label, labelled ? "\"" : "", hint,
                  "; its result is lost, all other tasks go on"});
}

}  // namespace procpool
