// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A function that runs in this process with the value of a task, and makes the value of another future.

#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <procpool/detail/task/local_task.hpp>
#include <procpool/detail/task/result_codec.hpp>
#include <procpool/detail/task/when_ended.hpp>

namespace procpool::detail {

template <class F, class Value>
struct ThenResult : std::invoke_result<F, Value> {};
template <class F>
struct ThenResult<F, void> : std::invoke_result<F> {};

/// What a future of `f(value)` gives.
template <class F, class Value>
using then_result_t = std::decay_t<typename ThenResult<F, Value>::type>;

/// The value of a task whose future was consumed.
template <class T>
class ConsumedInput {
 public:
  using Value = T;
  explicit ConsumedInput(std::shared_ptr<Source> source) noexcept : source_(std::move(source)) {}

  /// Called first: the task has ended.
  [[nodiscard]] const ResultHandle& task() {
    handle_ = source_->take();
    return handle_;
  }
  T get() { return take_result<T>(std::move(handle_)); }

 private:
  std::shared_ptr<Source> source_;
  ResultHandle handle_;
};

/// `Input` has the members of ConsumedInput.
template <class Input, class F>
class ThenContinuation final : public Continuation {
  using Value = typename Input::Value;

 public:
  using Result = then_result_t<F, Value>;

  template <class Given>
  ThenContinuation(Exchange& exchange, Input input, Given&& function)
      : input_(std::move(input)), function_(std::forward<Given>(function)), task_(exchange) {}

  [[nodiscard]] LocalTask& task() noexcept { return task_; }

  void run() noexcept override {
    if (const ResultHandle& before = input_.task(); before.was_cancelled()) {
      return task_.cancel_as(before, before.has_begun());
    }
    try {
      task_.succeed(make_result());
    } catch (...) {
      task_.fail(std::current_exception());
    }
  }

 private:
  std::shared_ptr<void> make_result() {
    if constexpr (!std::is_void_v<Result>) {
      return std::make_shared<Result>(call());
    } else {
      call();
      return nullptr;
    }
  }
  // By value, because what it returns may refer to the input.
  Result call() {
    if constexpr (std::is_void_v<Value>) {
      input_.get();
      return std::invoke(std::move(function_));
    } else {
      return std::invoke(std::move(function_), input_.get());
    }
  }

  Input input_;
  F function_;
  LocalTask task_;
};

/// Runs it when `source`, which it may own, has ended; the owner of what it makes. If this throws, for want of memory
/// or of a thread, the caller is told, and no count has the future that he does not get.
template <class Input, class F>
[[nodiscard]] ResultHandle start_continuation(const ResultHandle& source,
                                              std::unique_ptr<ThenContinuation<Input, F>> then) {
  LocalTask& task = then->task();
  ResultHandle made = task.take_future();
  std::unique_ptr<Continuation> continuation = std::move(then);
  try {
    run_when_ended(source, std::move(continuation));
  } catch (...) {
    task.cancel();
    throw;
  }
  return made;
}

}  // namespace procpool::detail
