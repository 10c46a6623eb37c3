// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How an exception crosses from a worker: as its own type, with RemoteOrigin mixed in.

#include <cxxabi.h>

#include <atomic>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>

#include <procpool/detail/os/type_name.hpp>
#include <procpool/error.hpp>
#include <procpool/serial/exception_report.hpp>
#include <procpool/serial/known_exceptions.hpp>

namespace procpool::detail {

/// Turns an exception into bytes. Called in the process that threw. Whatever fails on the way (user code that throws,
/// memory that is short), something that tells of the exception comes out.
[[nodiscard, gnu::cold]] inline EncodedException encode_exception(const std::exception_ptr& thrown) noexcept;

/// Rebuilds an exception that `pid` sent of the task `label`. A standard or registered type arrives as itself, any
/// other as its nearest standard base, what is no std::exception as RemoteError, damaged bytes as SerializationError.
/// `kept` is what the task was sent, which the exception may name.
[[nodiscard, gnu::cold]] inline std::exception_ptr decode_exception(std::span<const std::byte> bytes, ::pid_t pid,
                                                                    std::string_view label,
                                                                    const KeptBlocks* kept = nullptr) noexcept;

/// The types announced by register_exception(), the last one first. Only ever grows; written by whoever registers, read
/// by whoever encodes or decodes.
inline constinit std::atomic<const ExceptionRegistration*> exception_registrations{nullptr};

inline void publish(ExceptionRegistration& registration) noexcept {
  // relaxed: a guess, (3) checks it.
  registration.next = exception_registrations.load(std::memory_order_relaxed);
  // (3) release-store, pairs with (1), (2): the registration is complete.
  // relaxed: on failure as above.
  while (!exception_registrations.compare_exchange_weak(registration.next, &registration, std::memory_order_release,
                                                        std::memory_order_relaxed)) {
  }
}

/// Called while an exception is being handled: the payload of the registered type that it is, else of one that it
/// derives from.
[[gnu::cold]] inline void encode_registered(ExceptionReport& report) {
  const std::type_info* type = abi::__cxa_current_exception_type();
  // (1) acquire-load, pairs with (3): the registration behind the pointer is complete.
  const ExceptionRegistration* first = exception_registrations.load(std::memory_order_acquire);
  for (const bool exact : {true, false}) {
    for (const auto* entry = first; entry != nullptr; entry = entry->next) {
      if ((type != nullptr && *entry->type == *type) != exact || !entry->encode_current(report.payload)) continue;
      report.facts.registration = entry;
      return;
    }
  }
}

[[nodiscard, gnu::cold]] inline const ExceptionRegistration* find_registration(
    const ExceptionRegistration* wanted) noexcept {
  // (2) acquire-load, pairs with (3): the registration behind the pointer is complete.
  const ExceptionRegistration* entry = exception_registrations.load(std::memory_order_acquire);
  while (entry != nullptr && entry != wanted) entry = entry->next;
  return entry;
}

[[nodiscard, gnu::cold]] inline ExceptionFacts facts_of(const std::exception& thrown) noexcept {
  ExceptionFacts facts;
  facts.kind = KnownExceptions::find(&thrown);
  if (const auto* error = dynamic_cast<const std::system_error*>(&thrown)) {
    facts.code = error->code().value();
    facts.category = name_of(error->code().category());
  }
  if (const auto* death = dynamic_cast<const WorkerDied*>(&thrown)) {
    facts.death_pid = death->pid();
    facts.death_signal = death->signal();
    facts.death_exit_status = death->exit_status();
    facts.death_has_position = death->position().has_value() ? 1 : 0;
    facts.death_position = death->position().value_or(0);
    facts.death_address = reinterpret_cast<std::uintptr_t>(death->fault_address());
    facts.death_has_address = death->has_fault_address() ? 1 : 0;
    facts.death_out_of_memory = death->out_of_memory() ? 1 : 0;
    facts.death_ran_for = death->ran_for().count();
    facts.death_cpu_time = death->cpu_time().count();
    facts.death_peak_memory = death->peak_memory();
    facts.death_attempt = death->attempt();
  }
  return facts;
}

/// Called while an exception is being handled: its type as a person writes it; of one that came from another process,
/// its type there.
[[nodiscard, gnu::cold]] inline std::string current_type_name(const std::exception* thrown) {
  if (const auto* origin = dynamic_cast<const RemoteOrigin*>(thrown)) return origin->type_name();
  const std::type_info* type = abi::__cxa_current_exception_type();
  return type != nullptr ? type_name(*type) : "an exception of another language";
}

/// Called while an exception is being handled: `thrown`, or null if that is no std::exception. `what` is all that it
/// says.
[[gnu::cold]] inline void encode_current(const std::exception* thrown, const char* what,
                                         EncodedException& encoded) noexcept {
  const ExceptionFacts facts = thrown != nullptr ? facts_of(*thrown) : ExceptionFacts{.kind = remote_error_kind};
  if (what == nullptr) what = "";
  try {
    ExceptionReport report{facts, current_type_name(thrown), what, {}, {}, {}};
    if (const auto* death = dynamic_cast<const WorkerDied*>(thrown)) {
      report.death_label = death->label();
      for (const std::string& line : death->stack()) report.death_stack.append(line).append("\n");
    }
    if (report.what.empty() && thrown == nullptr) {
      report.what = message({"a task threw a value of type ", report.type_name, ", which is no std::exception"});
    }
    try {
      encode_registered(report);
    } catch (...) {  // The user's serialize() failed: the nearest standard base still tells of the exception.
      report.payload.clear();
    }
    encoded.assign(report);
  } catch (...) {
    encoded.assign_shortened(facts, thrown != nullptr ? typeid(*thrown).name() : "", what);
  }
}

inline EncodedException encode_exception(const std::exception_ptr& thrown) noexcept {
  EncodedException encoded;
  try {
    if (thrown) std::rethrow_exception(thrown);
    encoded.assign_shortened({.kind = remote_error_kind}, "", "a task failed without an exception");
  } catch (const std::exception& exception) {
    encode_current(&exception, exception.what(), encoded);
  } catch (const std::string& text) {
    encode_current(nullptr, text.c_str(), encoded);
  } catch (const char* text) {
    encode_current(nullptr, text, encoded);
  } catch (...) {
    encode_current(nullptr, nullptr, encoded);
  }
  return encoded;
}

[[nodiscard, gnu::cold]] inline std::string damaged_report_text(::pid_t pid, std::string_view label) {
  return message(
      {"process ", pid, " reported that its task", label.empty() ? "" : " \"", label, label.empty() ? "" : "\"",
       " threw, but in bytes that are damaged; something in the task may write to memory that is not its own"});
}

inline std::exception_ptr decode_exception(std::span<const std::byte> bytes, ::pid_t pid, std::string_view label,
                                           const KeptBlocks* kept) noexcept {
  try {
    ReceivedException received;
    received.pid = pid;
    received.label = label;
    received.kept = kept;
    if (!received.read(bytes) || received.facts.kind >= KnownExceptions::size) {
      throw SerializationError(damaged_report_text(pid, label));
    }
    const RebuildSource source(received);
    if (const ExceptionRegistration* known = find_registration(received.facts.registration)) {
      if (std::exception_ptr rebuilt = known->rebuild(received, source)) return rebuilt;
    }
    KnownExceptions::raise(received.facts.kind, source);
    return nullptr;
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace procpool::detail
