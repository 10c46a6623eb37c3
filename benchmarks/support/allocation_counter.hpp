// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Counts what this process, and each process forked from it, takes from the heap. Replaces malloc, which operator new
/// calls too; included by one file of a program only, and not together with a sanitizer.

#include <atomic>
#include <cerrno>
#include <cstddef>

// glibc's own names for what is replaced here.
extern "C" {
void* __libc_malloc(std::size_t size) noexcept;                           // NOLINT(bugprone-reserved-identifier)
void* __libc_calloc(std::size_t count, std::size_t size) noexcept;        // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void* block, std::size_t size) noexcept;             // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(std::size_t alignment, std::size_t size) noexcept;  // NOLINT(bugprone-reserved-identifier)
}

namespace bench {

/// Written by every thread that allocates; a forked process goes on with a copy of its own.
inline std::atomic<long> allocation_count{0};

/// Heap allocations of this process so far, those of its ancestors before the fork included.
inline long allocations_so_far() {
  return allocation_count.load(std::memory_order_relaxed);  // relaxed: a counter that publishes nothing
}

inline void count_allocation() {
  allocation_count.fetch_add(1, std::memory_order_relaxed);  // relaxed: a counter that publishes nothing
}

}  // namespace bench

extern "C" {

void* malloc(std::size_t size) noexcept {
  bench::count_allocation();
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  bench::count_allocation();
  return __libc_calloc(count, size);
}

void* realloc(void* block, std::size_t size) noexcept {
  bench::count_allocation();
  return __libc_realloc(block, size);
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  bench::count_allocation();
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept { return memalign(alignment, size); }

int posix_memalign(void** block, std::size_t alignment, std::size_t size) noexcept {
  *block = memalign(alignment, size);
  return *block == nullptr ? ENOMEM : 0;
}
}
