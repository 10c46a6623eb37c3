// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The result of a task that was sent: to be waited for, taken, or continued.

#include <chrono>
#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <procpool/detail/task/future_access.hpp>
#include <procpool/detail/task/then_continuation.hpp>
#include <procpool/detail/task/when_ended.hpp>
#include <procpool/detail/wait/deadline.hpp>
#include <procpool/future/awaiter.hpp>
#include <procpool/future/borrowed.hpp>
#include <procpool/future/outcome.hpp>
#include <procpool/future/shared_future.hpp>

namespace procpool {

/// `F` can be called once with the value of a `Future<T>`; with nothing, if `T` is void.
template <class F, class T>
concept ContinuesFuture = (std::is_void_v<T> && std::invocable<std::decay_t<F>>) ||
                          (!std::is_void_v<T> && std::invocable<std::decay_t<F>, std::add_rvalue_reference_t<T>>);

/// `F` can be called once with the outcome of a `Future<T>`.
template <class F, class T>
concept ReceivesOutcome = std::invocable<std::decay_t<F>, Outcome<T>>;

/// Move-only; to let it go is to leave the task alone, whose failure PoolStats then counts. It may outlive its pool,
/// and may be handed from thread to thread; one thread uses it at a time, but for wait(), is_ready(), is_running() and
/// cancel(), which others may call as well.
///
/// get(), borrow(), then(), share(), when_all() and `co_await std::move(future)` consume it: valid() is false then. All
/// members but valid() throw UsageError if it has no result, or is used in another process than that which made it.
template <class T>
class Future {
 public:
  using value_type = T;

  Future() noexcept = default;
  explicit Future(detail::ResultHandle task) noexcept : task_(std::move(task)) {}

  /// True if there is a result to wait for.
  [[nodiscard]] bool valid() const noexcept { return task_.valid(); }

  /// Waits for the task and takes its value; if it failed, what it ended with is thrown. What the task wrote to shared
  /// memory is visible then.
  T get() { return wait(), detail::take_result<T>(std::move(task_)); }

  /// The same, if the task ends within `time`; else empty (of `Future<void>`: false), and the future is as before.
  template <class Rep, class Period>
  auto get_for(const std::chrono::duration<Rep, Period>& time)
      -> std::conditional_t<std::is_void_v<T>, bool, std::optional<T>>;

  /// As get(), but a large result is not copied: it is read where the worker wrote it, and given back when the Borrowed
  /// goes. For text, vectors and arrays of trivially copyable elements, and trivially copyable values; any other `T`
  /// does not compile.
  Borrowed<T> borrow()
    requires(!std::is_void_v<T>)
  {
    detail::require_readable_in_place<T>();
    if constexpr (detail::is_readable_in_place<T>) return wait(), Borrowed<T>::take(std::move(task_));
  }

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

  /// Racy, as with std::future: at some moment during the call. A task runs when a worker has taken it.
  [[nodiscard]] bool is_ready() const { return task().is_ready(); }
  [[nodiscard]] bool is_running() const { return task().is_running(); }

  /// Waits; what the task ended with, null if it has a value.
  [[nodiscard]] std::exception_ptr exception();

  /// Waits; what the task has used, if it was submitted with TaskOptions::measure (UsageError if not, and of a map or a
  /// continuation); zeros if its worker died or it never ran.
  [[nodiscard]] Usage usage() const {
    wait();
    return task().usage();
  }

  /// True: the task never ran and never will, and the future throws Cancelled. False: it runs, and was asked to stop,
  /// so that the result is what the task makes of it; or it has ended; or it waits to be tried again, which it never
  /// will be, and the future throws Cancelled. Of a map_async() or a when_all(), what has not begun never will; true if
  /// nothing had. The future of a then() passes this on to what it waits for.
  bool cancel() { return task().cancel(); }

  /// As cancel(), but if the task runs, its worker is killed and replaced: no other task is hit, and once that is done,
  /// in about a millisecond, the future throws Cancelled. Nothing happens to a task that has ended.
  void kill() { task().kill(); }

  /// Calls `f(Outcome<T>)` once the task has ended, even if the future is gone by then: on the pool's dispatch thread,
  /// one after another, in the order of these calls; if the pool is gone, here, or, of a when_all() that still waits
  /// for another pool, on that one's dispatch thread. What `f` throws is ignored. `f` may submit, but must not wait for
  /// a future of then() or when_all(), which that same thread makes ready.
  ///
  /// `f` gets a copy; a value that was made by a then() and cannot be copied goes to whoever asks first.
  template <ReceivesOutcome<T> F>
  void on_ready(F&& f);

  /// A future of `f(value)`, or of `f()` for void, which runs where on_ready() calls: in this process, so it may
  /// capture and return anything. If the task fails or is cancelled, so is the new future, and `f` does not run. If
  /// then() throws, for want of memory or of a slot, this future is as before, but `f` may have been moved from.
  template <ContinuesFuture<T> F>
  auto then(F&& f) -> Future<detail::then_result_t<std::decay_t<F>, T>>;

  /// A future that can be copied and read many times. If there is no memory for it, this one is as before.
  SharedFuture<T> share() { return SharedFuture<T>(std::move(task())); }

  /// `co_await` gives what get() gives. Of an lvalue it gives a copy, and the future stays as it is.
  [[nodiscard]] auto operator co_await() & { return Awaiter<Future>(Future(task().duplicate())); }
  [[nodiscard]] auto operator co_await() && { return Awaiter<Future>(Future(detail::FutureAccess::take(*this))); }

 private:
  friend struct detail::FutureAccess;

  template <class F>
  class Callback;

  [[nodiscard]] const detail::ResultHandle& task() const {
    detail::require_usable(task_);
    return task_;
  }
  [[nodiscard]] detail::ResultHandle& task() {
    detail::require_usable(task_);
    return task_;
  }

  detail::ResultHandle task_;
};

static_assert(sizeof(Future<int>) == 16, "a million of them may be held");

template <class T>
template <class Rep, class Period>
auto Future<T>::get_for(const std::chrono::duration<Rep, Period>& time)
    -> std::conditional_t<std::is_void_v<T>, bool, std::optional<T>> {
  if constexpr (std::is_void_v<T>) {
    const bool has_ended = wait_for(time);
    if (has_ended) detail::take_result<void>(std::move(task_));
    return has_ended;
  } else {
    if (!wait_for(time)) return std::nullopt;
    return detail::take_result<T>(std::move(task_));
  }
}

template <class T>
std::exception_ptr Future<T>::exception() {
  wait();
  task_.mark_read();
  return detail::failure_of(task_, task_.read());
}

template <class T>
template <class F>
class Future<T>::Callback final : public detail::Continuation {
 public:
  template <class Given>
  Callback(detail::ResultHandle task, Given&& function)
      : task_(std::move(task)), function_(std::forward<Given>(function)) {}

  [[nodiscard]] const detail::ResultHandle& task() const noexcept { return task_; }

  void run() noexcept override {
    try {
      std::invoke(std::move(function_), take_outcome());
    } catch (...) {  // see on_ready()
    }
  }

 private:
  /// A failure, if there is no memory for what the task has ended with.
  Outcome<T> take_outcome() {
    try {
      const detail::RawResult result = task_.read();
      const detail::GiveBack at_the_end(task_, result);
      return detail::outcome_of<T>(task_, result);
    } catch (...) {
      if (task_.valid()) task_.mark_read();
      return Outcome<T>::failure(std::current_exception());
    }
  }

  detail::ResultHandle task_;
  F function_;
};

template <class T>
template <ReceivesOutcome<T> F>
void Future<T>::on_ready(F&& f) {
  auto callback = std::make_unique<Callback<std::decay_t<F>>>(task().duplicate(), std::forward<F>(f));
  const detail::ResultHandle& source = callback->task();
  detail::run_when_ended(source, std::move(callback));
}

template <class T>
template <ContinuesFuture<T> F>
auto Future<T>::then(F&& f) -> Future<detail::then_result_t<std::decay_t<F>, T>> {
  using Then = detail::ThenContinuation<detail::ConsumedInput<T>, std::decay_t<F>>;
  detail::Exchange& exchange = task().exchange();
  const auto source = std::make_shared<detail::Source>();
  auto continuation = std::make_unique<Then>(exchange, detail::ConsumedInput<T>(source), std::forward<F>(f));
  continuation->task().set_upstream(source);
  source->set(std::move(task_));
  try {
    return Future<typename Then::Result>(detail::start_continuation(source->handle(), std::move(continuation)));
  } catch (...) {
    task_ = source->take();
    throw;
  }
}

}  // namespace procpool
