// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The least coroutine that can wait.

#include <coroutine>
#include <exception>

namespace support {

/// Begins at once, and nobody waits for it; what it changes tells that it has ended. An exception that leaves it
/// reaches whoever resumed it, and its frame is then left to the test.
struct Coroutine {
  struct promise_type {
    Coroutine get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() { throw; }
  };

  std::coroutine_handle<> handle;  // of no use once it has returned
};

}  // namespace support
