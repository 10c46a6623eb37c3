// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The exception types that arrive from a worker as themselves.

#include <any>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>

#include <procpool/error.hpp>
#include <procpool/serial/exception_report.hpp>

namespace procpool::detail {

// What is done here for each of the types is kept small and cold: all who include the library compile it.

/// What every rebuilt exception has beside its type.
class RebuildSource : public RemoteOrigin {
 public:
  [[gnu::cold]] explicit RebuildSource(const ReceivedException& received)
      : RemoteOrigin(std::string(received.type_name), received.pid, std::string(received.label),
                     std::string(received.what)),
        received_(received) {}

  using RemoteOrigin::message;
  [[nodiscard, gnu::cold]] std::error_code code() const noexcept;
  /// Without the reports of earlier attempts, which do not cross.
  [[nodiscard, gnu::cold]] DeathReport death_report() const;

 private:
  const ReceivedException& received_;
};

/// What is thrown here in place of a `T` that was thrown there and that is made of its message.
template <class T>
class RebuiltWithText final : public T, public RemoteOrigin {
 public:
  using Original = T;

  explicit RebuiltWithText(const RebuildSource& source) : T(source.message()), RemoteOrigin(source) {}
  [[gnu::cold]] ~RebuiltWithText() override = default;
};

/// The same for a `T` that can be given no message.
template <class T>
class RebuiltWithoutText final : public T, public RemoteOrigin {
 public:
  using Original = T;

  explicit RebuiltWithoutText(const RebuildSource& source) : RemoteOrigin(source) {}
  [[gnu::cold]] ~RebuiltWithoutText() override = default;
  [[nodiscard]] const char* what() const noexcept override { return this->message().c_str(); }
};

// The rest are made of more than a message.

/// Whoever copies it out of the handler by value, slicing it, gets the code with the standard's own words.
class RebuiltSystemError final : public std::system_error, public RemoteOrigin {
 public:
  using Original = std::system_error;

  [[gnu::cold]] explicit RebuiltSystemError(const RebuildSource& source);
  [[nodiscard]] const char* what() const noexcept override { return message().c_str(); }
};

class RebuiltStreamFailure final : public std::ios_base::failure, public RemoteOrigin {
 public:
  using Original = std::ios_base::failure;

  [[gnu::cold]] explicit RebuiltStreamFailure(const RebuildSource& source);
  [[nodiscard]] const char* what() const noexcept override { return message().c_str(); }
};

class RebuiltWorkerDied final : public WorkerDied, public RemoteOrigin {
 public:
  using Original = WorkerDied;

  [[gnu::cold]] explicit RebuiltWorkerDied(const RebuildSource& source)
      : WorkerDied(source.death_report()), RemoteOrigin(source) {}
};

/// It is its own origin.
class RebuiltRemoteError final : public RemoteError {
 public:
  using Original = RemoteError;

  [[gnu::cold]] explicit RebuiltRemoteError(const RebuildSource& source) : RemoteError(source.message(), source) {}
};

/// A report names a type by its place in the list.
template <class... Types>
struct ExceptionList {
  static constexpr std::uint32_t size = sizeof...(Types);

  /// The place of the first that `*thrown` is or derives from.
  [[nodiscard, gnu::cold]] static std::uint32_t find(const std::exception* thrown) noexcept {
    std::uint32_t place = 0;
    static_cast<void>(((dynamic_cast<const typename Types::Original*>(thrown) != nullptr || (++place, false)) || ...));
    return place;
  }

  /// Throws what arrives in place of the type at `place`; does nothing if there is none.
  [[gnu::cold]] static void raise(std::uint32_t place, const RebuildSource& source) {
    ((place-- == 0 ? throw Types(source) : void()), ...);
  }
};

// Derived types stand before their bases.
using KnownExceptions = ExceptionList<  //
    RebuiltRemoteError, RebuiltWorkerDied, RebuiltWithText<BrokenPool>, RebuiltWithText<PoolClosed>,
    RebuiltWithText<Cancelled>, RebuiltWithText<SerializationError>, RebuiltWithText<SharedMemoryExhausted>,
    RebuiltWithText<OwnerDied>, RebuiltWithText<Error>, RebuiltWithText<UsageError>, RebuiltStreamFailure,
    RebuiltSystemError, RebuiltWithText<std::range_error>, RebuiltWithText<std::overflow_error>,
    RebuiltWithText<std::underflow_error>, RebuiltWithText<std::runtime_error>, RebuiltWithText<std::domain_error>,
    RebuiltWithText<std::invalid_argument>, RebuiltWithText<std::length_error>, RebuiltWithText<std::out_of_range>,
    RebuiltWithText<std::logic_error>, RebuiltWithoutText<std::bad_array_new_length>,
    RebuiltWithoutText<std::bad_alloc>, RebuiltWithoutText<std::bad_any_cast>, RebuiltWithoutText<std::bad_cast>,
    RebuiltWithoutText<std::bad_typeid>, RebuiltWithoutText<std::bad_optional_access>,
    RebuiltWithoutText<std::bad_variant_access>, RebuiltWithoutText<std::bad_function_call>,
    RebuiltWithoutText<std::bad_weak_ptr>, RebuiltWithoutText<std::bad_exception>, RebuiltWithoutText<std::exception>>;
inline constexpr std::uint32_t remote_error_kind = 0;

/// The category of a code that belongs to a library: its value is kept, its meaning stayed in the worker.
class ForeignCategory final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "foreign"; }
  [[nodiscard, gnu::cold]] std::string message(int code) const override {
    return detail::message({"error ", code, " of a category that does not cross processes"});
  }
};

[[nodiscard, gnu::cold]] inline const std::error_category& category_of(CategoryName name) noexcept {
  static const ForeignCategory foreign;
  switch (name) {
    case CategoryName::generic: return std::generic_category();
    case CategoryName::system: return std::system_category();
    case CategoryName::iostream: return std::iostream_category();
    default: return foreign;
  }
}

[[nodiscard, gnu::cold]] inline CategoryName name_of(const std::error_category& category) noexcept {
  for (const CategoryName name : {CategoryName::generic, CategoryName::system, CategoryName::iostream}) {
    if (category == category_of(name)) return name;
  }
  return CategoryName::foreign;
}

inline std::error_code RebuildSource::code() const noexcept {
  return {received_.facts.code, category_of(received_.facts.category)};
}

[[nodiscard, gnu::cold]] inline CrashStack::Lines lines_of(std::string_view text) {
  CrashStack::Lines lines;
  for (std::size_t end = 0; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1)) {
    lines.push_back(std::string(text.substr(0, end)));
  }
  return lines;
}

inline DeathReport RebuildSource::death_report() const {
  const ExceptionFacts& facts = received_.facts;
  DeathReport report;
  report.pid = facts.death_pid;
  report.signal = facts.death_signal;
  report.exit_status = facts.death_exit_status;
  report.label = received_.death_label;
  if (facts.death_has_position != 0) report.position = static_cast<std::size_t>(facts.death_position);
  if (facts.death_has_address != 0) report.fault_address = std::bit_cast<const void*>(facts.death_address);
  report.stack = CrashStack(lines_of(received_.death_stack));
  report.ran_for = std::chrono::nanoseconds(facts.death_ran_for);
  report.cpu_time = std::chrono::nanoseconds(facts.death_cpu_time);
  report.peak_memory = facts.death_peak_memory;
  report.out_of_memory = facts.death_out_of_memory != 0;
  report.attempt = static_cast<int>(facts.death_attempt);
  return report;
}

inline RebuiltSystemError::RebuiltSystemError(const RebuildSource& source)
    : std::system_error(source.code()), RemoteOrigin(source) {}

inline RebuiltStreamFailure::RebuiltStreamFailure(const RebuildSource& source)
    : std::ios_base::failure(source.message(), source.code()), RemoteOrigin(source) {}

}  // namespace procpool::detail
