// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Elements that the user's process and all workers of a pool read and write in place.

#include <atomic>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <procpool/detail/task/shared_elements.hpp>
#include <procpool/serial/arrival.hpp>
#include <procpool/serial/flat.hpp>

namespace procpool {

namespace detail {

template <class T>
inline constexpr bool is_lock_free_atomic = false;
template <class T>
inline constexpr bool is_lock_free_atomic<std::atomic<T>> = std::atomic<T>::is_always_lock_free && is_flat_value<T>;

}  // namespace detail

/// May be an element of a SharedArray: plain bytes that mean the same in every process, or a lock-free std::atomic of
/// such.
template <class T>
concept SharedElement =
    std::is_object_v<T> && !std::is_array_v<T> && std::same_as<T, std::remove_cv_t<T>> &&
    (detail::is_flat_value<T> || detail::is_lock_free_atomic<T>)&&std::is_default_constructible_v<T> &&
    alignof(T) <= 64;

namespace detail {

// Not the concept, which compilers would explain in five more lines.
template <class T>
inline constexpr bool may_be_shared = SharedElement<T>;

}  // namespace detail

/// What `pool.make_array<T>(n)` returns: a handle of `n` elements. A copy of it is another handle of the same elements;
/// as with std::span, that a handle is const says nothing of them. One that was moved from has no elements.
///
/// It may be an argument of a task of the pool that made it, by itself, in a container or a struct, or bound by
/// procpool::partial(); it travels in a moment whatever its size. The task declares it as `SharedArray<T>`, by value or
/// reference, as `std::span<T>` or `std::span<const T>`, and what it writes is there when its future is ready, also if
/// it fails or its worker dies. A task that is tried again finds what the try before has written. Tasks that write to
/// the same elements at the same time need std::atomic or std::atomic_ref. A task may return an array that it was sent,
/// or throw it in an exception that was registered.
///
/// The elements live until the last handle in this process is gone, and the result of the last task that was sent them
/// was taken; the pool may end before. In a task a handle is good until the task ends. In a process that the user
/// forked, and in a worker of another pool, it names no memory.
template <class T>
class SharedArray {
  static_assert(
      detail::may_be_shared<T>,
      "procpool: the elements of a SharedArray are read and written in place by every process, so they must "
      "be default-constructible plain bytes (aligned to at most 64) without pointers, views or a `serialize`. "
      "Use numbers, std::array, structs of these, or std::atomic of them, and indices for pointers; or, if "
      "the bytes mean the same everywhere, specialize procpool::is_plain_data to true");

 public:
  using element_type = T;
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using pointer = T*;
  using reference = T&;
  using iterator = T*;

  /// Of no elements.
  SharedArray() noexcept = default;
  /// For the pool.
  explicit SharedArray(detail::SharedElements<T> elements) noexcept : elements_(std::move(elements)) {}

  [[nodiscard]] std::size_t size() const noexcept { return elements_.size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] T* data() const noexcept { return elements_.data(); }

  [[nodiscard]] T& operator[](std::size_t i) const noexcept { return data()[i]; }
  /// Throws std::out_of_range.
  [[nodiscard]] T& at(std::size_t i) const {
    if (i < size()) return data()[i];
    throw std::out_of_range("element " + std::to_string(i) + " of a SharedArray of " + std::to_string(size()));
  }
  [[nodiscard]] T& front() const noexcept { return data()[0]; }
  [[nodiscard]] T& back() const noexcept { return data()[size() - 1]; }

  [[nodiscard]] T* begin() const noexcept { return data(); }
  [[nodiscard]] T* end() const noexcept { return data() + size(); }

  /// Good while a handle is left.
  [[nodiscard]] std::span<T> span() const noexcept { return elements_; }

  /// For the pool.
  [[nodiscard]] const detail::SharedElements<T>& elements() const noexcept { return elements_; }

 private:
  detail::SharedElements<T> elements_;
};

namespace detail {

template <class T>
struct Standard<SharedArray<T>> : StandardParts<> {
  static void save(OutputArchive& archive, const SharedArray<T>& array) { archive(array.elements()); }
  static void load(InputArchive& archive, SharedArray<T>& array) {
    array = SharedArray<T>(load_as<SharedElements<T>>(archive));
  }
};

template <class T>
inline constexpr bool names_shared_memory<SharedArray<T>> = true;

}  // namespace detail

}  // namespace procpool
