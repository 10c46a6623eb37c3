// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A future that can be copied, and read by everyone who has a copy.

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include <procpool/detail/task/future_access.hpp>
#include <procpool/detail/task/then_continuation.hpp>
#include <procpool/detail/wait/deadline.hpp>
#include <procpool/future/awaiter.hpp>
#include <procpool/future/outcome.hpp>

namespace procpool::detail {

/// Reads the result of a task that has ended, without giving it back.
template <class T>
[[nodiscard]] Outcome<T> outcome_of(const ResultHandle& task, const RawResult& result) {
  const TaskNote* note = task.exchange().slots.note(task.handle());
  const std::size_t position = note != nullptr && note->has_position ? note->first_position : 0;
  if (std::exception_ptr failure = failure_of(task, result)) return Outcome<T>::failure(std::move(failure), position);
  try {
    if constexpr (std::is_void_v<T>) {
      value_of<void>(task, result);
      return Outcome<void>(position);
    } else {
      return Outcome<T>(value_of<T>(task, result), position);
    }
  } catch (...) {
    return Outcome<T>::failure(std::current_exception(), position);
  }
}

/// What all copies of a SharedFuture refer to.
template <class T>
class SharedResult {
 public:
  explicit SharedResult(ResultHandle task) noexcept : task_(std::move(task)) {}

  [[nodiscard]] const ResultHandle& task() const noexcept { return task_; }

  /// Waits; decodes for the first who asks.
  [[nodiscard]] const Outcome<T>& outcome() {
    task_.wait();
    std::call_once(once_, [this] {
      outcome_.emplace(outcome_of<T>(task_, task_.read()));
      task_.mark_read();
    });
    return *outcome_;
  }

 private:
  ResultHandle task_;
  std::once_flag once_;
  std::optional<Outcome<T>> outcome_;
};

}  // namespace procpool::detail

namespace procpool {

/// Made by Future::share(). Copies refer to one task; each may be used by a thread of its own. The value is decoded at
/// the first read, lives as long as the last copy, and is the same object for all.
template <class T>
class SharedFuture {
 public:
  using value_type = T;

  SharedFuture() noexcept = default;
  explicit SharedFuture(detail::ResultHandle&& task)
      : result_(std::make_shared<detail::SharedResult<T>>(std::move(task))) {}

  /// True if it refers to a task. All other members throw UsageError if it does not, or in another process.
  [[nodiscard]] bool valid() const noexcept { return result_ != nullptr; }

  /// Waits for the task; its value, as `const T&`, or what it ended with is thrown. What the task wrote to shared
  /// memory is visible then.
  decltype(auto) get() const { return result().outcome().value(); }

  /// Waits until the task has ended; what it wrote to shared memory is visible then. The timed ones: false if it had
  /// not ended in time.
  void wait() const { task().wait(); }
  template <class Rep, class Period>
  bool wait_for(const std::chrono::duration<Rep, Period>& time) const {
    return task().wait(detail::deadline_in(time));
  }
  template <class Clock, class Duration>
  bool wait_until(const std::chrono::time_point<Clock, Duration>& time) const {
    return task().wait(detail::deadline_at(time));
  }

  /// Racy: at some moment during the call. A task runs when a worker has taken it.
  [[nodiscard]] bool is_ready() const { return task().is_ready(); }
  [[nodiscard]] bool is_running() const { return task().is_running(); }

  /// Waits; what the task ended with, null if it has a value.
  [[nodiscard]] std::exception_ptr exception() const { return result().outcome().exception(); }

  /// Cancels the task for all copies: see Future::cancel().
  bool cancel() const { return task().cancel(); }

  /// Ends the task for all copies: see Future::kill().
  void kill() const { task().kill(); }

  /// Calls `f(const Outcome<T>&)` on the dispatch thread: see Future::on_ready().
  template <class F>
    requires std::invocable<std::decay_t<F>, const Outcome<T>&>
  void on_ready(F&& f) const;

  /// A future of `f(const T&)`, or of `f()` for void, which runs on the dispatch thread: see Future::then(). It may be
  /// called often; to cancel a future made here does not cancel the task that all share.
  template <class F>
  auto then(F&& f) const;

  /// `co_await` gives what get() gives.
  [[nodiscard]] auto operator co_await() const { return Awaiter<SharedFuture>(*this); }

 private:
  friend struct detail::FutureAccess;

  class Input;
  template <class F>
  class Callback;

  [[nodiscard]] detail::SharedResult<T>& result() const {
    if (!valid()) detail::throw_without_result();
    detail::require_usable(result_->task());
    return *result_;
  }
  [[nodiscard]] const detail::ResultHandle& task() const { return result().task(); }

  std::shared_ptr<detail::SharedResult<T>> result_;
};

/// What a continuation reads: see detail::ConsumedInput.
template <class T>
class SharedFuture<T>::Input {
 public:
  using Value = std::conditional_t<std::is_void_v<T>, void, std::add_lvalue_reference_t<const T>>;
  explicit Input(SharedFuture future) noexcept : future_(std::move(future)) {}

  [[nodiscard]] const detail::ResultHandle& task() const { return future_.task(); }
  Value get() const { return future_.get(); }

 private:
  SharedFuture future_;
};

template <class T>
template <class F>
class SharedFuture<T>::Callback final : public detail::Continuation {
 public:
  template <class Given>
  Callback(SharedFuture future, Given&& function)
      : future_(std::move(future)), function_(std::forward<Given>(function)) {}

  void run() noexcept override {
    try {
      std::invoke(std::move(function_), outcome());
    } catch (...) {  // see Future::on_ready()
    }
  }

 private:
  [[nodiscard]] const Outcome<T>& outcome() {
    try {
      return future_.result().outcome();
    } catch (...) {
      return failure_.emplace(Outcome<T>::failure(std::current_exception()));
    }
  }

  SharedFuture future_;
  F function_;
  std::optional<Outcome<T>> failure_;  // there was no memory for what the task has ended with
};

template <class T>
template <class F>
  requires std::invocable<std::decay_t<F>, const Outcome<T>&>
void SharedFuture<T>::on_ready(F&& f) const {
  detail::run_when_ended(task(), std::make_unique<Callback<std::decay_t<F>>>(*this, std::forward<F>(f)));
}

template <class T>
template <class F>
auto SharedFuture<T>::then(F&& f) const {
  using Then = detail::ThenContinuation<Input, std::decay_t<F>>;
  const detail::ResultHandle& source = task();
  auto continuation = std::make_unique<Then>(source.exchange(), Input(*this), std::forward<F>(f));
  return Future<typename Then::Result>(detail::start_continuation(source, std::move(continuation)));
}

}  // namespace procpool
