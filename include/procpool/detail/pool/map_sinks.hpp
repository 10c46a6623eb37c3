// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Where the results of a map go: a vector of values, nothing, or a vector of outcomes.

#include <cstddef>
#include <cstring>
#include <exception>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/detail/pool/chunk_collector.hpp>
#include <procpool/detail/pool/chunker.hpp>
#include <procpool/future/outcome.hpp>
#include <procpool/serial/flat.hpp>
#include <procpool/serial/standard_containers.hpp>

namespace procpool::detail {

/// Keeps the failure with the lowest position.
class FirstFailure : public ChunkSink {
 public:
  void fail(std::size_t position, const std::exception_ptr& failure) override {
    if (failure_ && position_ < position) return;
    position_ = position;
    failure_ = failure;
  }
  [[nodiscard]] bool has_failed() const noexcept { return failure_ != nullptr; }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 protected:
  ~FirstFailure() = default;

 private:
  std::size_t position_ = 0;
  std::exception_ptr failure_;
};

/// For void functions, and values that nobody wants.
class NoValues final : public FirstFailure {
 public:
  void put(const FinishedItems& items) override {
    if (items.are_blocks) for_each_block(items, *this, [](std::size_t, std::span<const std::byte>) {});
  }
  void finish() const { rethrow(); }
};
template <class>
using SinkOfNothing = NoValues;

/// Values that are copied straight to their final place.
template <class R>
class ArrayOfValues final : public FirstFailure {
 public:
  void expect(std::size_t items) override {
    if (items != Chunker::unknown) reserve_to_fill(values_, items);
  }
  void put(const FinishedItems& items) override {
    if (!append(items)) place(items);
    if constexpr (holds_bool<R>()) require_values(items);
  }
  [[nodiscard]] std::vector<R> finish() {
    rethrow();
    return std::move(values_);
  }

 private:
  /// Damaged bytes need not be a value of R's.
  void require_values(const FinishedItems& items) {
    for (std::size_t position = items.position; position < items.position + items.count; ++position) {
      try {
        require_valid_bools(values_[position]);
      } catch (const SerializationError& error) {
        fail(position, std::make_exception_ptr(unreadable_result(name_of(&items.note, position), error)));
      }
    }
  }

  /// Where they come next, nothing need be written there before.
  bool append(const FinishedItems& items) {
    if constexpr (std::is_copy_constructible_v<R> && std::is_copy_assignable_v<R> &&
                  alignof(R) <= alignof(ChunkHeader)) {
      if (values_.size() != items.position) return false;
      const auto* first = reinterpret_cast<const R*>(items.results);
      values_.insert(values_.end(), first, first + items.count);
      return true;
    } else {
      return false;
    }
  }
  void place(const FinishedItems& items) {
    if (values_.size() < items.position + items.count) values_.resize(items.position + items.count);
    void* const to = values_.data() + items.position;  // not by assignment, which R need not have
    if (items.count > 0) std::memcpy(to, items.results, items.count * sizeof(R));
  }

  std::vector<R> values_;
};

/// Values of any other type: they need not be default-constructible, and std::vector<bool> has no places to copy to.
template <class R>
class OptionalValues final : public FirstFailure {
 public:
  void expect(std::size_t items) override {
    if (items != Chunker::unknown) values_.reserve(items);
  }
  void put(const FinishedItems& items) override {
    for_each_result<R>(items, *this, [this](std::size_t position, R&& value) { place(position, std::move(value)); });
  }
  void place(std::size_t position, R&& value) {
    if (values_.size() <= position) values_.resize(position + 1);
    values_[position].emplace(std::move(value));
  }
  [[nodiscard]] std::vector<R> finish() {
    this->rethrow();
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
class OutcomesOf final : public ChunkSink {
 public:
  /// `first` is the position of the first item that will come.
  explicit OutcomesOf(std::size_t first = 0) noexcept : first_(first) {}

  void expect(std::size_t items) override {
    if (items != Chunker::unknown) outcomes_.reserve(items);
  }
  void put(const FinishedItems& items) override {
    if constexpr (std::is_void_v<R>) {
      for (std::size_t i = 0; i < items.count; ++i) place(items.position + i).emplace(items.position + i);
    } else {
      for_each_result<R>(items, *this, [this](std::size_t position, R&& value) {
        place(position).emplace(std::move(value), position);
      });
    }
  }
  void fail(std::size_t position, const std::exception_ptr& failure) override {
    place(position).emplace(Outcome<R>::failure(failure, position));
  }

  /// The outcome of the `i`th item from the first. Once.
  [[nodiscard]] Outcome<R> take(std::size_t i) { return std::move(*outcomes_[i]); }
  [[nodiscard]] std::vector<Outcome<R>> finish() {
    std::vector<Outcome<R>> result;
    result.reserve(outcomes_.size());
    for (auto& outcome : outcomes_) result.push_back(std::move(*outcome));
    return result;
  }

 private:
  std::optional<Outcome<R>>& place(std::size_t position) {
    const std::size_t i = position - first_;
    if (outcomes_.size() <= i) outcomes_.resize(i + 1);
    return outcomes_[i];
  }

  std::size_t first_;
  std::vector<std::optional<Outcome<R>>> outcomes_;
};

}  // namespace procpool::detail
