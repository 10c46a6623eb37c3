// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The least coroutine that can wait.

#include <coroutine>
#include <exception>

namespace support {

/// Begins at once, and nobody waits for it; its body says through what it captures that it has ended.
struct Coroutine {
  struct promise_type {
    Coroutine get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() { throw; }
  };
};

}  // namespace support
