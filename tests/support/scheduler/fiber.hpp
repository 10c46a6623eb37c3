// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A course of execution with a stack of its own, which goes on when it is told to: a thread or process of a model.

#include <setjmp.h>
#include <ucontext.h>

#include <array>
#include <cstddef>
#include <functional>

namespace model {

/// Made by whoever goes on first; all of one program run in one thread.
class Context {
 public:
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Begins `body` on the stack that follows, once somebody switches here. `body` never returns.
  void prepare(std::byte* stack, std::size_t size, std::function<void()> body);

  /// Goes on there, until somebody switches here.
  void switch_to(Context& other);

 private:
  static void begin(unsigned high, unsigned low);

  // What the C++ runtime keeps of a thread's exceptions in flight; opaque.
  using ExceptionState = std::array<void*, 2>;

  bool is_fresh_ = false;
  ucontext_t first_{};
  jmp_buf where_{};
  ExceptionState exceptions_{};
  std::function<void()> body_;
};

/// The stacks of all fibers, side by side, so that an address tells whether it lies on one.
class Stacks {
 public:
  static constexpr std::size_t size = std::size_t{256} << 10;
  static constexpr std::size_t most = 64;

  [[nodiscard]] static std::byte* of(std::size_t fiber);
  [[nodiscard]] static bool contain(const volatile void* address) noexcept;
};

}  // namespace model
