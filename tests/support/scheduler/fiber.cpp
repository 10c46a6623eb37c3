// SPDX-License-Identifier: BSL-1.0

#include "fiber.hpp"

#include <cxxabi.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

namespace model {

void Context::prepare(std::byte* stack, std::size_t size, std::function<void()> body) {
  body_ = std::move(body);
  is_fresh_ = true;
  ::getcontext(&first_);
  first_.uc_stack.ss_sp = stack;
  first_.uc_stack.ss_size = size;
  first_.uc_link = nullptr;
  const auto self = reinterpret_cast<std::uintptr_t>(this);
  ::makecontext(&first_, reinterpret_cast<void (*)()>(&Context::begin), 2, static_cast<unsigned>(self >> 32),
                static_cast<unsigned>(self));
}

void Context::begin(unsigned high, unsigned low) {
  auto* self = reinterpret_cast<Context*>(std::uintptr_t{high} << 32 | low);
  self->body_();
}

/// After the first time by longjmp: unlike swapcontext(3) it makes no system call.
void Context::switch_to(Context& other) {
  void* exceptions = abi::__cxa_get_globals();
  std::memcpy(exceptions_.data(), exceptions, sizeof exceptions_);
  std::memcpy(exceptions, other.exceptions_.data(), sizeof exceptions_);
  if (::_setjmp(where_) != 0) return;
  if (std::exchange(other.is_fresh_, false)) ::setcontext(&other.first_);
  else ::_longjmp(other.where_, 1);
}

namespace {

std::byte* arena() {
  static std::byte* const begin = [] {
    void* memory = ::mmap(nullptr, Stacks::most * Stacks::size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    for (std::size_t i = 0; i < Stacks::most; ++i) {  // An overflow is a crash and not a neighbour's riddle.
      ::mprotect(static_cast<std::byte*>(memory) + i * Stacks::size, 4096, PROT_NONE);
    }
    return static_cast<std::byte*>(memory);
  }();
  return begin;
}

}  // namespace

std::byte* Stacks::of(std::size_t fiber) { return arena() + fiber * size + 4096; }

bool Stacks::contain(const volatile void* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(arena()) < most * size;
}

}  // namespace model
