// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Where the results of a map go: a vector of values, nothing, or a vector of outcomes.

#include <cstddef>
#include <cstring>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/future/outcome.hpp>
#include <procpool/detail/pool/chunker.hpp>
#include <procpool/serial/flat.hpp>

namespace procpool::detail {

/// Keeps the failure with the lowest position.
class FirstFailure {
 public:
  void fail(std::size_t position, const std::exception_ptr& failure) noexcept {
    if (failure_ && position_ <= position) return;
    position_ = position;
    failure_ = failure;
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }
  [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

 private:
  std::size_t position_ = 0;
  std::exception_ptr failure_;
};

/// For void functions, and values that nobody wants.
class NoValues : public FirstFailure {
 public:
  void expect(std::size_t) noexcept {}
  void put_voids(std::size_t, std::size_t) noexcept {}
  void put_array(std::size_t, const std::byte*, std::size_t) noexcept {}
  template <class V>
  void put(std::size_t, V&&) noexcept {}
  void finish() const { rethrow(); }
};
template <class>
using SinkOfNothing = NoValues;

/// Values that are copied straight to their final place.
template <class R>
class ArrayOfValues : public FirstFailure {
 public:
  /// `items` are expected in all; Chunker::unknown if that is not known.
  void expect(std::size_t items) {
    if (items != Chunker::unknown) values_.resize(items);
  }
  void put_array(std::size_t position, const std::byte* values, std::size_t count) {
    if (values_.size() < position + count) values_.resize(position + count);
    if (count > 0) std::memcpy(values_.data() + position, values, count * sizeof(R));
  }
  [[nodiscard]] std::vector<R> finish() {
    rethrow();
    return std::move(values_);
  }

 private:
  std::vector<R> values_;
};

/// Values of any other type: they need not be default-constructible, and std::vector<bool> has no places to copy to.
template <class R>
class OptionalValues : public FirstFailure {
 public:
  void expect(std::size_t items) {
    if (items != Chunker::unknown) values_.resize(items);
  }
  void put_array(std::size_t position, const std::byte* values, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) put(position + i, load_flat<R>(values + i * sizeof(R)));
  }
  void put(std::size_t position, R&& value) {
    if (values_.size() <= position) values_.resize(position + 1);
    values_[position].emplace(std::move(value));
  }
  [[nodiscard]] std::vector<R> finish() {
    rethrow();
    std::vector<R> result;
    result.reserve(values_.size());
    for (std::optional<R>& value : values_) result.push_back(std::move(*value));
    return result;
  }

 private:
  std::vector<std::optional<R>> values_;
};

template <class R>
struct SinkForValues {
  static constexpr bool is_array =
      is_flat_value<R> && std::is_default_constructible_v<R> && !std::is_same_v<R, bool> && !std::is_const_v<R>;
  using type = std::conditional_t<is_array, ArrayOfValues<R>, OptionalValues<R>>;
};
template <>
struct SinkForValues<void> {
  using type = NoValues;
};
template <class R>
using SinkOfValues = typename SinkForValues<R>::type;

/// A value or an exception for each item.
template <class R>
class OutcomesOf {
 public:
  void expect(std::size_t items) {
    if (items != Chunker::unknown) outcomes_.resize(items);
  }
  void put_array(std::size_t position, const std::byte* values, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) put(position + i, load_flat<R>(values + i * sizeof(R)));
  }
  void put_voids(std::size_t position, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) place(position + i).emplace(Outcome<R>(position + i));
  }
  template <class V>
  void put(std::size_t position, V&& value) {
    place(position).emplace(Outcome<R>(std::forward<V>(value), position));
  }
  void fail(std::size_t position, const std::exception_ptr& failure) {
    place(position).emplace(Outcome<R>::failure(failure, position));
  }
  [[nodiscard]] std::vector<Outcome<R>> finish() {
    std::vector<Outcome<R>> result;
    result.reserve(outcomes_.size());
    for (auto& outcome : outcomes_) result.push_back(std::move(*outcome));
    return result;
  }

 private:
  std::optional<Outcome<R>>& place(std::size_t position) {
    if (outcomes_.size() <= position) outcomes_.resize(position + 1);
    return outcomes_[position];
  }

  std::vector<std::optional<Outcome<R>>> outcomes_;
};

}  // namespace procpool::detail
