// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The blocks into which map_blocks() divides an array.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <numeric>
#include <utility>

#include <procpool/detail/task/shared_elements.hpp>

namespace procpool::detail {

/// Elements of a block, if nobody says. Sixteen blocks for each worker, so that one that is slower than the others
/// costs a sixteenth of the whole at most; as their number has a bound, so has what they cost where the work is little.
/// No two share a cache line. It depends on nothing that is measured: the blocks of an array, and so the sums of their
/// elements, are the same each time.
template <class T>
[[nodiscard]] constexpr std::size_t elements_per_block(std::size_t elements, std::size_t workers) noexcept {
  constexpr std::size_t blocks_per_worker = 16;
  constexpr std::size_t cache_line = 64;
  constexpr std::size_t whole_lines =
      cache_line / std::gcd(cache_line, sizeof(T));  // the least elements that fill some
  const std::size_t blocks = std::max<std::size_t>(1, workers) * blocks_per_worker;
  const std::size_t share = elements / blocks + (elements % blocks != 0 ? 1 : 0);
  return std::max<std::size_t>(1, share / whole_lines + (share % whole_lines != 0 ? 1 : 0)) * whole_lines;
}

/// The blocks of an array, as a range.
template <class T>
class ArrayBlocks {
 public:
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = SharedElements<T>;

    Iterator(const ArrayBlocks& blocks, std::size_t first) noexcept : blocks_(&blocks), first_(first) {}
    [[nodiscard]] SharedElements<T> operator*() const noexcept {
      return blocks_->all_.part(first_, std::min(blocks_->size_of_each_, blocks_->all_.size() - first_));
    }
    Iterator& operator++() noexcept {
      first_ += std::min(blocks_->size_of_each_, blocks_->all_.size() - first_);
      return *this;
    }
    void operator++(int) noexcept { ++*this; }
    [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept { return first_ == blocks_->all_.size(); }

   private:
    const ArrayBlocks* blocks_;
    std::size_t first_;  // element
  };

  /// `size_of_each`, of the last one perhaps less, is above zero.
  ArrayBlocks(SharedElements<T> all, std::size_t size_of_each) noexcept
      : all_(std::move(all)), size_of_each_(size_of_each) {}

  [[nodiscard]] Iterator begin() const noexcept { return Iterator(*this, 0); }
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return std::default_sentinel; }
  [[nodiscard]] std::size_t size() const noexcept {
    return all_.size() / size_of_each_ + (all_.size() % size_of_each_ != 0 ? 1 : 0);
  }

 private:
  SharedElements<T> all_;
  std::size_t size_of_each_;
};

}  // namespace procpool::detail
