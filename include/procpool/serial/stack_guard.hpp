// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Stops a recursion before it runs out of stack.

#include <cstddef>
#include <cstdint>

#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

/// Values that hold values of their own kind (trees, linked lists) are written and read by recursion, and a damaged
/// block may describe one that is deeper than any stack. A guard remembers where on the stack it was made.
class StackGuard {
 public:
  StackGuard() noexcept : start_(here()) {}

  /// Throws SerializationError when the calls since this guard was made have used 4 MiB, half of a usual stack.
  void check() const {
    const std::uintptr_t now = here();
    if ((now < start_ ? start_ - now : now - start_) > limit) refuse();
  }

 private:
  static constexpr std::uintptr_t limit = std::uintptr_t{4} << 20;

  // Not the address of a local variable: the sanitizers keep those elsewhere.
  [[nodiscard]] static std::uintptr_t here() noexcept {
    return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  }

  [[noreturn]] static void refuse() {
    throw SerializationError(
        "this value is nested too deeply to be sent (or its bytes are damaged): writing or reading it would need more "
        "than 4 MiB of stack. Send it as a flat std::vector, with indices in place of pointers");
  }

  std::uintptr_t start_;
};

}  // namespace procpool::detail
