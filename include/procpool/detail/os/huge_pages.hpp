// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Huge pages for large memory that is about to be filled.

#include <sys/mman.h>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace procpool::detail {

/// Asks for huge pages where the `bytes` bytes at `begin` lie: the first touch of memory then costs one page fault for
/// each two megabytes instead of 512, which take several times as long as filling it does. Where the system gives them
/// to everybody, or to nobody, it changes nothing. No page beyond those bytes is touched, and nothing below four
/// megabytes is asked for, so that a heap which is used again for small things is left as it is.
inline void ask_for_huge_pages(void* begin, std::size_t bytes) noexcept {
  constexpr std::uintptr_t huge_page = std::uintptr_t{2} << 20;
  if (bytes < 2 * huge_page) return;
  const auto address = std::bit_cast<std::uintptr_t>(begin);
  const std::uintptr_t first = (address + huge_page - 1) / huge_page * huge_page;
  const std::uintptr_t end = (address + bytes) / huge_page * huge_page;
  // Advice: what refuses it goes on with small pages.
  static_cast<void>(::madvise(std::bit_cast<void*>(first), end - first, MADV_HUGEPAGE));
}

}  // namespace procpool::detail
