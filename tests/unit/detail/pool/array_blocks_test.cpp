// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <procpool/detail/pool/array_blocks.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::ArrayBlocks;
using procpool::detail::elements_per_block;
using procpool::detail::SharedElements;

namespace {

template <class T>
std::vector<std::span<T>> blocks_of(std::span<T> all, std::size_t size) {
  const ArrayBlocks<T> blocks(SharedElements<T>(all.data(), all.size(), nullptr), size);
  std::vector<std::span<T>> found;
  for (const std::span<T> block : blocks) found.push_back(block);
  CHECK(blocks.size() == found.size());
  return found;
}

/// The blocks of that many elements cover them once, in order, and no two have a cache line in common.
template <class T>
void check_division(std::size_t elements, std::size_t workers) {
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> memory(elements * sizeof(T) / sizeof(Line) + 1);
  T* next = reinterpret_cast<T*>(memory.data());
  const std::size_t size = elements_per_block<T>(elements, workers);
  const auto blocks = blocks_of(std::span<T>(next, elements), size);
  CHECK(blocks.size() <= 16 * workers);
  for (const std::span<T>& block : blocks) {
    CHECK(block.data() == next);
    CHECK(reinterpret_cast<std::uintptr_t>(next) % 64 == 0);
    CHECK_FALSE(block.empty());
    next += block.size();
  }
  CHECK(next == reinterpret_cast<T*>(memory.data()) + elements);
}

}  // namespace

TEST_CASE("the blocks of an array share no cache line, whatever the size of its elements") {
  for (const std::size_t workers : {1U, 2U, 7U}) {
    for (const std::size_t elements : {0U, 1U, 15U, 16U, 17U, 100U, 1000U, 12'345U}) {
      check_division<char>(elements, workers);
      check_division<std::array<char, 3>>(elements, workers);
      check_division<int>(elements, workers);
      check_division<std::array<double, 3>>(elements, workers);
      check_division<std::array<double, 8>>(elements, workers);
      check_division<std::array<char, 100>>(elements, workers);
    }
  }
}

TEST_CASE("a large array is divided into sixteen blocks for each worker") {
  std::vector<int> memory(100'000);
  for (const std::size_t workers : {1U, 2U, 8U}) {
    const std::size_t size = elements_per_block<int>(memory.size(), workers);
    CHECK(blocks_of(std::span(memory), size).size() == 16 * workers);
  }
  CHECK(elements_per_block<char>(SIZE_MAX, 1) == (SIZE_MAX / 16 + 1));
}

TEST_CASE("the last block of an array has what is left") {
  std::vector<int> memory(10);
  for (const std::size_t size : {1U, 3U, 5U, 10U, 11U}) {
    const auto blocks = blocks_of(std::span(memory), size);
    std::size_t sum = 0;
    for (const auto& block : blocks) sum += block.size();
    CHECK(sum == 10);
    CHECK(blocks.front().size() == std::min<std::size_t>(size, 10));
  }
  CHECK(blocks_of(std::span(memory), SIZE_MAX).size() == 1);
}
