// SPDX-License-Identifier: BSL-1.0

#include <cstddef>
#include <cstdint>
#include <memory>

#include <procpool/detail/memory/kept_blocks.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::BlockAllocator;
using procpool::detail::KeptBlocks;
using procpool::detail::SharedBlock;
using procpool::detail::SharedMapping;

namespace {

constexpr std::size_t half = std::size_t{1} << 20;

struct Memory {
  SharedMapping mapping{2 * half};
  BlockAllocator allocator{mapping, mapping.begin(), half};
  BlockAllocator another{mapping, mapping.begin() + half, half};

  [[nodiscard]] KeptBlocks::Block block(std::size_t bytes) {
    return std::make_shared<const SharedBlock>(allocator, bytes);
  }
};

}  // namespace

TEST_CASE("blocks come back when the last who keeps them has gone") {
  Memory memory;
  {
    KeptBlocks kept;
    CHECK(kept.is_empty());
    kept.add(memory.block(100));
    CHECK_FALSE(kept.is_empty());
    CHECK(memory.allocator.was_in_use() == 128);
    {
      KeptBlocks others;
      others.add(memory.block(1000));
      kept.add(others);
      kept.add(others);
    }
    CHECK(memory.allocator.was_in_use() == 128 + 1024);
    kept.add(nullptr);
    KeptBlocks copy = kept;
    kept.clear();
    CHECK(kept.is_empty());
    CHECK(memory.allocator.was_in_use() == 128 + 1024);
  }
  CHECK(memory.allocator.was_in_use() == 0);
}

TEST_CASE("who takes the blocks of another keeps each once, and the other no more of them") {
  Memory memory;
  KeptBlocks kept;
  KeptBlocks others;
  const auto both = memory.block(64);
  kept.add(both);
  others.add(both);
  others.add(memory.block(1000));
  kept.take(others);
  others.clear();
  CHECK(memory.allocator.was_in_use() == 64 + 1024);
  CHECK(both.use_count() == 2);
}

TEST_CASE("an address is found in the block in which all of it lies, and in no other") {
  Memory memory;
  KeptBlocks kept;
  CHECK(kept.find(memory.mapping.begin(), 0) == nullptr);
  const auto first = memory.block(64);
  const auto second = memory.block(64);
  const auto large = memory.block(100'000);
  for (const auto& block : {second, large, first}) kept.add(block);
  for (const auto& block : {first, second, large}) {
    const std::byte* const begin = block->data();
    CHECK(kept.find(begin, block->size()) == block);
    CHECK(kept.find(begin, 0) == block);
    CHECK(kept.find(begin + 8, block->size() - 8) == block);
    CHECK(kept.find(begin + block->size() - 1, 1) == block);
    CHECK(kept.find(begin + 1, block->size()) == nullptr);
    CHECK(kept.find(begin + 8, SIZE_MAX) == nullptr);
    CHECK(kept.find(begin + 8, SIZE_MAX - 7) == nullptr);
  }
  CHECK(kept.find(nullptr, 1) == nullptr);
  CHECK(kept.find(large->data() + large->size() + 1, 0) == nullptr);
  CHECK(kept.find(reinterpret_cast<const std::byte*>(UINTPTR_MAX), 1) == nullptr);
}

TEST_CASE("blocks of another allocator are told from its own") {
  Memory memory;
  KeptBlocks kept;
  CHECK(kept.are_of(memory.allocator));
  kept.add(memory.block(100));
  CHECK(kept.are_of(memory.allocator));
  CHECK_FALSE(kept.are_of(memory.another));
  kept.add(std::make_shared<const SharedBlock>(memory.another, 100));
  CHECK_FALSE(kept.are_of(memory.allocator));
}

TEST_CASE("of a block that several keep each counts a share") {
  Memory memory;
  const auto shared = memory.block(64);
  KeptBlocks kept;
  kept.add(shared);
  CHECK(kept.bytes_of(memory.allocator) == 32);
  kept.add(memory.block(1000));
  CHECK(kept.bytes_of(memory.allocator) == 32 + 1024);
  CHECK(kept.bytes_of(memory.another) == 0);
}
