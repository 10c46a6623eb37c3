// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A result that is read where the worker wrote it.

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include <procpool/detail/task/borrowed_block.hpp>
#include <procpool/detail/task/readable_in_place.hpp>
#include <procpool/detail/task/result_codec.hpp>

namespace procpool {

template <class T>
class Future;

namespace detail {

[[noreturn, gnu::cold]] inline void throw_nothing_borrowed() {
  throw UsageError("this Borrowed has no result: it was moved from, or nothing was ever assigned to it");
}

}  // namespace detail

/// What Future::borrow() gives: the result of a task, read-only and without a copy, in the shared memory where its
/// worker wrote it. A std::vector<U> is read as a std::span<const U>, a std::string as a std::string_view, any other
/// `T` as a `const T&`; views and references stay good while the Borrowed is moved, until it goes.
///
/// Move-only; its destructor gives the memory back. It may outlive its future and its pool, and holds the memory of the
/// pool as long; it is of no consequence whether the worker that wrote it lives. As the results of futures, what is
/// borrowed is memory that workers do not have for other results: a task for whose result none is left fails with
/// SharedMemoryExhausted. A result that does not lie in shared memory (one of up to eight bytes, of a then(), of a
/// map_async()) is kept on the heap.
///
/// What it refers to was checked as by get(): of the right size, aligned, within the memory for results. That memory is
/// not write-protected: a task that writes through a wild pointer may change the elements while they are read. Where
/// that matters, as it does for an index taken from them, use get(), or check what was copied.
///
/// Several threads may read it at a time. All members but valid() throw UsageError if there is no result, or, of one in
/// shared memory, in a process forked from the one that borrowed it.
template <class T>
class Borrowed {
  using Seen = detail::read_in_place_t<T>;
  static constexpr bool is_view = !std::is_pointer_v<Seen>;
  using Value = std::conditional_t<is_view, Seen, T>;
  static constexpr bool is_range = requires(const Value& value) {
    value.data();
    value.size();
  };

 public:
  using value_type = T;

  Borrowed() noexcept = default;

  /// True if there is a result to read.
  [[nodiscard]] bool valid() const noexcept { return own_ != nullptr || block_.valid(); }

  /// The view, or the value itself. Of a temporary it would dangle at the end of the expression: name the Borrowed.
  [[nodiscard]] std::conditional_t<is_view, Seen, const T&> operator*() const& { return value(); }
  std::conditional_t<is_view, Seen, const T&> operator*() const&& = delete;
  [[nodiscard]] const Value* operator->() const { return &value(); }

  /// Of what has contiguous elements.
  [[nodiscard]] auto data() const
    requires is_range
  {
    return value().data();
  }
  [[nodiscard]] std::size_t size() const
    requires is_range
  {
    return value().size();
  }
  [[nodiscard]] auto begin() const
    requires is_range
  {
    return value().data();
  }
  [[nodiscard]] auto end() const
    requires is_range
  {
    return value().data() + value().size();
  }

 private:
  friend class Future<T>;

  explicit Borrowed(std::unique_ptr<const T> own) : own_(std::move(own)), seen_(detail::look_at(*own_)) {}
  Borrowed(detail::BorrowedBlock block, Seen seen) noexcept : block_(std::move(block)), seen_(seen) {}

  /// The task has ended. Throws its failure.
  [[nodiscard]] static Borrowed take(detail::ResultHandle task);

  [[nodiscard]] const Value& value() const {
    if (!valid()) detail::throw_nothing_borrowed();
    block_.require_home();
    if constexpr (is_view) return seen_;
    else return *seen_;
  }

  std::unique_ptr<const T> own_;  // what does not lie in shared memory
  detail::BorrowedBlock block_;
  Seen seen_{};
};

template <class T>
Borrowed<T> Borrowed<T>::take(detail::ResultHandle task) {
  const detail::RawResult result = task.read();
  const bool lies_in_block = !result.failure && result.header.kind == detail::ResultKind::value;
  if (!lies_in_block || detail::travels_in_slot<T>) {
    return Borrowed(std::make_unique<const T>(detail::take_result<T>(std::move(task))));
  }
  Seen seen{};
  try {
    seen = detail::readable_value<Seen>([&result] { return detail::read_in_place<T>(result.bytes); },
                                        [&task] { return detail::name_of(task.note()); });
  } catch (...) {
    task.give_back(result);
    throw;
  }
  return Borrowed(detail::BorrowedBlock(std::move(task), result), seen);
}

}  // namespace procpool
