// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Which parts of a region the system has granted, and how long nobody has used each.
///
/// Shared by  nobody: it lies in the private memory of the one process that hands the region out, under its lock.
/// Crash      it goes with that process, and the region with it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <procpool/detail/memory/shared_mapping.hpp>

namespace procpool::detail {

/// How much unused memory of each kind is not given back to the system: the first bytes, which are used first.
inline constexpr std::size_t always_kept = std::size_t{16} << 20;

/// Memory is given back that nobody has used for so many whole rounds, whose length is UnusedMemory's.
inline constexpr std::uint32_t rounds_unused = 1;

/// What is unused in `now` and was used last in `then`.
[[nodiscard]] inline bool is_long_unused(std::uint32_t then, std::uint32_t now) noexcept {
  return now - then > rounds_unused;
}

class GrantedMemory {
 public:
  GrantedMemory(const SharedMapping& mapping, std::byte* begin, std::size_t size) noexcept
      : mapping_(&mapping), begin_(begin), size_(size) {}

  /// Makes `bytes` bytes at `offset` usable, and they are used from now on. False if the system has no memory. Throws
  /// bad_alloc, and nothing has changed, if this process has none.
  [[nodiscard]] bool grant(std::size_t offset, std::size_t bytes);

  /// Nobody uses them from now on.
  void leave(std::size_t offset, std::size_t bytes) noexcept {
    for (std::size_t i = offset / granule; i * granule < offset + bytes; ++i) used_in_[i] = round_;
  }

  void begin_round() noexcept { ++round_; }

  /// Gives back to the system what has long been unused of `bytes` bytes at `offset`, which nobody uses; up to `most`
  /// bytes. How many.
  std::size_t give_back(std::size_t offset, std::size_t bytes, std::size_t most) noexcept;

  /// Bytes that are granted, and would be given back if they were long unused.
  [[nodiscard]] std::size_t above_kept() const noexcept { return above_kept_ * granule; }

 private:
  static constexpr std::size_t granule = std::size_t{256} << 10;
  static constexpr std::uint32_t never = 0;

  [[nodiscard]] std::size_t length_of(std::size_t first, std::size_t last) const noexcept {
    return std::min(last * granule, size_) - first * granule;
  }

  const SharedMapping* mapping_;
  std::byte* begin_;
  std::size_t size_;
  std::uint32_t round_ = 1;
  std::size_t above_kept_ = 0;          // granules
  std::vector<std::uint32_t> used_in_;  // the round in which each granule was used last; never: it is not granted
};

inline bool GrantedMemory::grant(std::size_t offset, std::size_t bytes) {
  const std::size_t end = (offset + bytes + granule - 1) / granule;
  if (used_in_.size() < end) used_in_.resize(end, never);
  for (std::size_t i = offset / granule; i < end;) {
    std::size_t behind = i;
    while (behind < end && used_in_[behind] == never) ++behind;
    if (behind > i && !mapping_->commit(begin_ + i * granule, length_of(i, behind))) {
      static_cast<void>(mapping_->give_back(begin_ + i * granule, length_of(i, behind)));  // It may have got a part.
      return false;
    }
    above_kept_ += behind - std::max(i, std::min(behind, always_kept / granule));
    if (behind == i) ++behind;
    for (; i < behind; ++i) used_in_[i] = round_;
  }
  return true;
}

inline std::size_t GrantedMemory::give_back(std::size_t offset, std::size_t bytes, std::size_t most) noexcept {
  const std::size_t whole = (offset + bytes) / granule + (offset + bytes == size_ ? 1 : 0);
  const std::size_t end = std::min(used_in_.size(), whole);
  const auto is_unused = [this](std::size_t i) { return used_in_[i] != never && is_long_unused(used_in_[i], round_); };
  std::size_t given = 0;
  for (std::size_t i = std::max((offset + granule - 1) / granule, always_kept / granule); i < end && given < most;) {
    std::size_t behind = i + 1;
    if (!is_unused(i)) {
      i = behind;
      continue;
    }
    while (behind < end && (behind - i) * granule < most - given && is_unused(behind)) ++behind;
    const bool is_given = mapping_->give_back(begin_ + i * granule, length_of(i, behind));
    if (is_given) {
      above_kept_ -= behind - i;
      given += length_of(i, behind);
    }
    for (; i < behind; ++i) used_in_[i] = is_given ? never : round_;
  }
  return given;
}

}  // namespace procpool::detail
