// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How the library, and nobody else, reaches the task behind a future.

#include <utility>

#include <procpool/detail/task/result_handle.hpp>
#include <procpool/error/message.hpp>

namespace procpool {

template <class T>
class Future;
template <class T>
class SharedFuture;

}  // namespace procpool

namespace procpool::detail {

template <class F>
inline constexpr bool is_future = false;
template <class T>
inline constexpr bool is_future<Future<T>> = true;
template <class T>
inline constexpr bool is_future<SharedFuture<T>> = true;

[[noreturn, gnu::cold]] inline void throw_without_result() {
  throw UsageError(
      "this future has no result: it was moved from, or get(), borrow(), then(), share(), when_all() or co_await of an "
      "rvalue took the result, which can be done once; share() makes a future that can be read often");
}

/// `what`: "a future".
[[noreturn, gnu::cold]] inline void throw_away_from_home(const char* what, const HomeProcess& home) {
  throw UsageError(message({what, " made in process ", home.pid(), " was used in process ", current_pid(),
                            ", which was forked from it; use it where it was made, or send the value"}));
}

/// Throws UsageError if the result is gone, or belongs to another process.
inline void require_usable(const ResultHandle& task) {
  if (!task.valid()) throw_without_result();
  if (!task.exchange().home.is_here()) throw_away_from_home("a future", task.exchange().home);
}

struct FutureAccess {
  /// The task of a Future or SharedFuture. Throws UsageError if it has none here.
  template <class AnyFuture>
  [[nodiscard]] static const ResultHandle& task(const AnyFuture& future) {
    return future.task();
  }

  /// The same, consuming the future.
  template <class T>
  [[nodiscard]] static ResultHandle take(Future<T>& future) {
    return std::move(future.task());
  }
};

}  // namespace procpool::detail
