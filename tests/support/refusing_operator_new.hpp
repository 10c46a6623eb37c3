// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// An operator new that refuses when it is told to. It is defined here: one file of a program includes this.

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace support {

struct Refusals {
  inline static std::atomic<bool> are_for_others{false};  // each request is refused, but those of exempt threads
  inline static std::atomic<int> count{0};                // so far, of all threads
  inline static thread_local bool is_exempt = false;      // the calling thread
  inline static thread_local int next = -1;  // requests of the calling thread before one that is refused; -1: none is

  [[nodiscard]] static bool come_now() noexcept {
    const bool is_refused = (next >= 0 && next-- == 0) || (!is_exempt && are_for_others.load());
    if (is_refused) ++count;
    return is_refused;
  }
};

}  // namespace support

// Not inlined, or GCC would warn of a free() for what came from an operator new.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const memory = support::Refusals::come_now() ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new[](std::size_t size) { return ::operator new(size); }
// A sanitizer's own forms would not be freed by what is below.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return ::operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t size, const std::nothrow_t& nothrow) noexcept { return ::operator new(size, nothrow); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { ::operator delete(memory); }
void operator delete[](void* memory) noexcept { ::operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { ::operator delete(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { ::operator delete(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { ::operator delete(memory); }
