// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What became of a task: its value, or the exception that it ended with.

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace procpool {

/// A value of type `T` or an exception, and which item of a map it belongs to. Copyable if `T` is.
template <class T>
class [[nodiscard]] Outcome {
 public:
  using value_type = T;

  /// `position` counts the items of a map from 0; it is 0 for a single task.
  explicit Outcome(T value, std::size_t position = 0) : value_(std::move(value)), position_(position) {}

  /// `why` is not null.
  static Outcome failure(std::exception_ptr why, std::size_t position = 0) {
    Outcome outcome;
    outcome.failure_ = std::move(why);
    outcome.position_ = position;
    return outcome;
  }

  [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
  [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

  /// The value; throws what the task ended with if there is none. `*` and `->` do the same.
  const T& value() const& {
    require_value();
    return *value_;
  }
  T& value() & {
    require_value();
    return *value_;
  }
  T&& value() && { return std::move(value()); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(value()); }
  [[nodiscard]] const T* operator->() const { return std::addressof(value()); }
  [[nodiscard]] T* operator->() { return std::addressof(value()); }

  template <class U>
  [[nodiscard]] T value_or(U&& otherwise) const& {
    return has_value() ? *value_ : static_cast<T>(std::forward<U>(otherwise));
  }
  template <class U>
  [[nodiscard]] T value_or(U&& otherwise) && {
    return has_value() ? std::move(*value_) : static_cast<T>(std::forward<U>(otherwise));
  }

  /// What the task ended with; null if it has a value.
  [[nodiscard]] const std::exception_ptr& exception() const noexcept { return failure_; }

  /// The item of the map that this is of, from 0.
  [[nodiscard]] std::size_t position() const noexcept { return position_; }

 private:
  Outcome() = default;

  void require_value() const {
    if (!has_value()) std::rethrow_exception(failure_);
  }

  std::optional<T> value_;
  std::exception_ptr failure_;
  std::size_t position_ = 0;
};

/// The outcome of a task that returns nothing.
template <>
class [[nodiscard]] Outcome<void> {
 public:
  using value_type = void;

  explicit Outcome(std::size_t position = 0) noexcept : position_(position) {}

  static Outcome failure(std::exception_ptr why, std::size_t position = 0) noexcept {
    Outcome outcome(position);
    outcome.failure_ = std::move(why);
    return outcome;
  }

  [[nodiscard]] bool has_value() const noexcept { return failure_ == nullptr; }
  [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

  /// Throws what the task ended with, if it failed. `*` does the same.
  void value() const {
    if (failure_) std::rethrow_exception(failure_);
  }
  void operator*() const { value(); }

  /// What the task ended with; null if it succeeded.
  [[nodiscard]] const std::exception_ptr& exception() const noexcept { return failure_; }

  /// The item of the map that this is of, from 0.
  [[nodiscard]] std::size_t position() const noexcept { return position_; }

 private:
  std::exception_ptr failure_;
  std::size_t position_;
};

}  // namespace procpool
