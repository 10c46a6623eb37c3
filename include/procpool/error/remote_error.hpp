// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Where an exception that crossed a process boundary was thrown.

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>

#include <procpool/error/error.hpp>

namespace procpool {

/// The mix-in of every exception that a task threw in a worker: `catch (const std::out_of_range&)` and
/// `catch (const procpool::RemoteOrigin&)` both match. Not itself a `std::exception`, which would make
/// `catch (const std::exception&)` ambiguous. Copies share their contents and never throw.
class RemoteOrigin {
 public:
  /// `type_name` as a person writes it (demangled); `label` is empty for a task without one.
  [[gnu::cold]] RemoteOrigin(std::string type_name, ::pid_t pid, std::string label)
      : RemoteOrigin(std::move(type_name), pid, std::move(label), std::string()) {}

  // A move would leave nothing to point at, so copies are all there is.
  [[gnu::cold]] RemoteOrigin(const RemoteOrigin& other) noexcept;
  RemoteOrigin& operator=(const RemoteOrigin& other) noexcept;
  [[gnu::cold]] ~RemoteOrigin();

  /// The dynamic type of the exception that was thrown, even where a base of it had to arrive in its place.
  [[nodiscard]] const std::string& type_name() const noexcept { return thrown_->type_name; }

  /// The process that threw.
  [[nodiscard]] ::pid_t pid() const noexcept { return thrown_->pid; }

  /// The label of the task that threw; empty if it had none.
  [[nodiscard]] const std::string& label() const noexcept { return thrown_->label; }

 protected:
  /// Keeps the original's message too, for a type that can be given none.
  [[gnu::cold]] RemoteOrigin(std::string type_name, ::pid_t pid, std::string label, std::string message);

  [[nodiscard]] const std::string& message() const noexcept { return thrown_->message; }

 private:
  struct Thrown {
    std::string type_name;
    ::pid_t pid;
    std::string label;
    std::string message;
  };

  std::shared_ptr<const Thrown> thrown_;
};

/// A task threw something whose type could not be rebuilt here: no `std::exception`, or one that failed to cross.
/// The message is what is known of it.
class RemoteError : public Error, public RemoteOrigin {
 public:
  RemoteError(const std::string& message, std::string type_name, ::pid_t pid, std::string label)
      : RemoteError(message, RemoteOrigin(std::move(type_name), pid, std::move(label))) {}
  RemoteError(const std::string& message, const RemoteOrigin& origin) : Error(message), RemoteOrigin(origin) {}
};

// Three dozen exception types mix it in: inlined into all their constructors and destructors, these few lines would
// cost everyone who includes the library a part of a second of compilation.
inline RemoteOrigin::RemoteOrigin(std::string type_name, ::pid_t pid, std::string label, std::string message)
    : thrown_(std::make_shared<const Thrown>(Thrown{std::move(type_name), pid, std::move(label), std::move(message)})) {
}
inline RemoteOrigin::RemoteOrigin(const RemoteOrigin& other) noexcept = default;
inline RemoteOrigin& RemoteOrigin::operator=(const RemoteOrigin& other) noexcept = default;
inline RemoteOrigin::~RemoteOrigin() = default;

}  // namespace procpool
