// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A part of the mapping that is committed from its start onwards, in steps.
///
/// Shared by  whoever commits: it may lie in shared memory, or in the private memory of the one process that grows it.
/// Crash      a death between commit and the mark leaves pages committed that the next one commits again: no harm.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <procpool/detail/memory/shared_mapping.hpp>

namespace procpool::detail {

class Region {
 public:
  Region(const SharedMapping& mapping, std::byte* begin, std::size_t size) noexcept
      : mapping_(&mapping), begin_(begin), size_(size) {}

  [[nodiscard]] std::byte* begin() const noexcept { return begin_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// True if `bytes` bytes at `at` lie inside. For addresses read back from shared memory: any value may come.
  [[nodiscard]] bool holds(const void* at, std::size_t bytes) const noexcept {
    const auto offset = reinterpret_cast<std::uintptr_t>(at) - reinterpret_cast<std::uintptr_t>(begin_);
    return offset <= size_ && bytes <= size_ - offset;
  }

  /// Commits the first `bytes` bytes. False if they exceed the region or the system refuses.
  [[nodiscard]] bool ensure(std::size_t bytes) noexcept {
    // relaxed: the pages themselves are ordered by the kernel; a stale mark commits a step twice.
    return bytes <= committed_.load(std::memory_order_relaxed) || grow(bytes);
  }

 private:
  static constexpr std::size_t step = std::size_t{256} << 10;

  [[nodiscard]] bool grow(std::size_t bytes) noexcept {
    if (bytes > size_) return false;
    std::size_t now = committed_.load(std::memory_order_relaxed);  // relaxed: as in ensure()
    const std::size_t wanted = std::min(size_, (bytes + step - 1) / step * step);
    if (now < wanted && !mapping_->commit(begin_ + now, wanted - now)) return false;
    while (now < wanted) {
      // relaxed: as in ensure()
      if (committed_.compare_exchange_weak(now, wanted, std::memory_order_relaxed)) break;
    }
    return true;
  }

  const SharedMapping* mapping_;
  std::byte* begin_;
  std::size_t size_;
  std::atomic<std::size_t> committed_{0};  // raised by whoever commits; read racily, stale values are ok
};

}  // namespace procpool::detail
