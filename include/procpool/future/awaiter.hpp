// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What `co_await future` waits with.

#include <coroutine>
#include <memory>
#include <utility>

#include <procpool/detail/task/future_access.hpp>

namespace procpool {

/// Made by the `operator co_await` of Future and SharedFuture. A coroutine that had to wait goes on on the pool's
/// dispatch thread; the coroutine must not be destroyed before that.
template <class AnyFuture>
class [[nodiscard]] Awaiter {
 public:
  explicit Awaiter(AnyFuture future) noexcept : future_(std::move(future)) {}

  /// Throws UsageError if the future has no result.
  [[nodiscard]] bool await_ready() const { return future_.is_ready(); }

  [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiting);

  /// The value of the task; throws what it ended with.
  decltype(auto) await_resume() { return future_.get(); }

 private:
  class Resume final : public detail::Continuation {
   public:
    explicit Resume(std::coroutine_handle<> waiting) noexcept : waiting_(waiting) {}
    void run() noexcept override;

   private:
    std::coroutine_handle<> waiting_;
  };

  AnyFuture future_;
};

/// The coroutine may go on, and end, before this returns. False: it goes on here, because pool and task are over.
template <class AnyFuture>
bool Awaiter<AnyFuture>::await_suspend(std::coroutine_handle<> waiting) {
  const detail::ResultHandle& task = detail::FutureAccess::task(future_);
  std::unique_ptr<detail::Continuation> resume = std::make_unique<Resume>(waiting);
  return task.exchange().dispatcher.after(task.handle(), resume);
}

template <class AnyFuture>
void Awaiter<AnyFuture>::Resume::run() noexcept {
  try {
    waiting_.resume();
  } catch (...) {  // As with any callback: whoever wants to know of it catches it within the coroutine.
  }
}

}  // namespace procpool
