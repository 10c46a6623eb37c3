// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include <procpool/detail/memory/block_allocator.hpp>
#include <procpool/detail/memory/shared_block.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/in_child.hpp"
#include "../../../support/patience.hpp"
#include "../../../support/refusing_operator_new.hpp"
#include "../../../support/resident.hpp"

using procpool::detail::always_kept;
using procpool::detail::BlockAllocator;
using procpool::detail::SharedBlock;
using procpool::detail::SharedMapping;
using support::Refusals;

namespace {

constexpr std::size_t kibi = 1024;
constexpr std::size_t mebi = 1024 * kibi;
constexpr std::size_t size = 4096 * kibi;

struct Memory {
  SharedMapping mapping{2 * size};
  BlockAllocator allocator{mapping, mapping.begin() + 4096 * 3, size};
};

/// With more than is always kept.
struct LargeMemory {
  static constexpr std::size_t above = 8 * mebi;

  SharedMapping mapping{always_kept + above};
  BlockAllocator allocator{mapping, mapping.begin(), mapping.size()};

  /// A block of all that is always kept, in use until the end.
  std::byte* kept = allocator.allocate(always_kept);

  [[nodiscard]] std::size_t resident() const { return support::resident_bytes(mapping); }
  /// What was unused before is long unused then.
  void pass_rounds() {
    allocator.begin_round();
    allocator.begin_round();
  }
};

}  // namespace

TEST_CASE("a small block is used again while it is warm") {
  Memory memory;
  for (const std::size_t bytes : {1U, 64U, 65U, 1000U, 4096U, 16384U}) {
    std::byte* const block = memory.allocator.allocate(bytes);
    memory.allocator.release(block, bytes);
    CHECK(memory.allocator.allocate(bytes) == block);
  }
}

TEST_CASE("what has not come back is in use, and nothing else") {
  Memory memory;
  std::map<std::byte*, std::size_t> blocks;
  std::size_t in_use = 0;
  for (const auto& [bytes, as_made] :
       {std::pair{1 * kibi, 1 * kibi}, {64 * kibi, 64 * kibi}, {3 * kibi, 4 * kibi}, {65 * kibi, 128 * kibi}}) {
    blocks.emplace(memory.allocator.allocate(bytes), bytes);
    CHECK(memory.allocator.was_in_use() == (in_use += as_made));
  }
  for (const auto& [block, bytes] : blocks) memory.allocator.release(block, bytes);
  CHECK(memory.allocator.was_in_use() == 0);
}

TEST_CASE("large blocks that come back merge into the room that they came from") {
  Memory memory;
  std::vector<std::byte*> blocks;
  while (std::byte* block = memory.allocator.allocate(100 * kibi)) blocks.push_back(block);
  REQUIRE(blocks.size() == size / (128 * kibi));
  SECTION("from the front") {
    for (std::byte* block : blocks) memory.allocator.release(block, 100 * kibi);
  }
  SECTION("from the back") {
    for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) memory.allocator.release(*block, 100 * kibi);
  }
  SECTION("every second one first") {
    for (const std::size_t first : {1U, 0U}) {
      for (std::size_t i = first; i < blocks.size(); i += 2) memory.allocator.release(blocks[i], 100 * kibi);
    }
  }
  std::byte* const whole = memory.allocator.allocate(size);
  CHECK(whole == memory.allocator.region().begin());
}

TEST_CASE("an allocator without room says so, and goes on after blocks have come back") {
  Memory memory;
  std::byte* const whole = memory.allocator.allocate(size);
  REQUIRE(whole != nullptr);
  CHECK(memory.allocator.allocate(1) == nullptr);
  CHECK(memory.allocator.allocate(size) == nullptr);
  memory.allocator.release(whole, size);
  CHECK(memory.allocator.allocate(1) != nullptr);
  for (const std::size_t most : {size + 1, SIZE_MAX / 2, SIZE_MAX - 70'000, SIZE_MAX - 1, SIZE_MAX}) {
    CHECK(memory.allocator.allocate(most) == nullptr);
  }
}

TEST_CASE("blocks lie inside the region, are aligned to 64 and never overlap, whatever is asked for") {
  for (unsigned seed = 0; seed < (support::is_full_run() ? 200U : 10U); ++seed) {
    Memory memory;
    std::mt19937 random(seed);
    std::map<std::byte*, std::pair<std::size_t, std::byte>> blocks;  // by address: bytes, and what they are filled with
    const auto largest = std::uniform_int_distribution(2, 19)(random);
    for (int step = 0; step < 3000; ++step) {
      if (!blocks.empty() && std::bernoulli_distribution(0.48)(random)) {
        const auto chosen = std::next(blocks.begin(), std::uniform_int_distribution<std::ptrdiff_t>(
                                                          0, static_cast<std::ptrdiff_t>(blocks.size()) - 1)(random));
        const auto [bytes, filling] = chosen->second;
        if (chosen->first[0] != filling || chosen->first[bytes - 1] != filling)
          FAIL("seed " << seed << " step " << step);
        memory.allocator.release(chosen->first, bytes);
        blocks.erase(chosen);
        continue;
      }
      const std::size_t bytes = std::uniform_int_distribution<std::size_t>(
          1, std::size_t{1} << std::uniform_int_distribution(0, largest)(random))(random);
      std::byte* const block = memory.allocator.allocate(bytes);
      if (block == nullptr) continue;
      const auto filling = static_cast<std::byte>(step);
      std::memset(block, static_cast<int>(filling), bytes);
      const auto behind = blocks.lower_bound(block);
      bool is_sound =
          reinterpret_cast<std::uintptr_t>(block) % 64 == 0 && memory.allocator.region().holds(block, bytes);
      is_sound &= behind == blocks.end() || block + bytes <= behind->first;
      is_sound &= behind == blocks.begin() || std::prev(behind)->first + std::prev(behind)->second.first <= block;
      if (!is_sound) FAIL("seed " << seed << " step " << step << ": a block of " << bytes << " bytes");
      blocks.emplace(block, std::pair(bytes, filling));
    }
  }
  SUCCEED();
}

TEST_CASE("blocks of every size are given back without memory, in any order") {
  Memory memory;
  std::vector<std::pair<std::byte*, std::size_t>> blocks;
  for (int i = 0; i < 12; ++i) {
    for (const std::size_t bytes : {64U, 100U, 16384U, 16385U, 65537U}) {
      blocks.emplace_back(memory.allocator.allocate(bytes), bytes);
      REQUIRE(blocks.back().first != nullptr);
    }
  }
  const int before = Refusals::count.load();
  Refusals::are_for_others = true;
  for (const std::size_t first : {2U, 0U, 1U}) {  // so that free runs are apart, and then merge
    for (std::size_t i = first; i < blocks.size(); i += 3) {
      memory.allocator.release(blocks[i].first, blocks[i].second);
    }
  }
  Refusals::are_for_others = false;
  CHECK(Refusals::count.load() == before);
  CHECK(memory.allocator.was_in_use() == 0);
}

TEST_CASE("of an allocation for which the process has no memory, nothing of the region is lost") {
  for (const auto& [bytes, as_made] : {std::pair{64 * kibi, 64 * kibi}, {48 * kibi, 64 * kibi}, {kibi, kibi}}) {
    for (int refused = 0, were_refused = 1; were_refused != 0; ++refused) {
      CAPTURE(bytes, refused);
      Memory memory;
      std::byte* const first = memory.allocator.allocate(100 * kibi);
      std::byte* const behind = memory.allocator.allocate(100 * kibi);
      memory.allocator.release(first, 100 * kibi);  // a run of which the block leaves a part
      const std::size_t in_use = memory.allocator.was_in_use();
      const int before = Refusals::count.load();
      std::byte* block = nullptr;
      Refusals::next = refused;
      try {
        block = memory.allocator.allocate(bytes);
      } catch (const std::bad_alloc&) {
      }
      Refusals::next = -1;
      were_refused = Refusals::count.load() - before;
      CHECK((block == nullptr) == (were_refused != 0));
      if (block == nullptr) {
        CHECK(memory.allocator.was_in_use() == in_use);
        block = memory.allocator.allocate(bytes);
      }
      CHECK(memory.allocator.was_in_use() == in_use + as_made);
      memory.allocator.release(block, bytes);
      memory.allocator.release(behind, 100 * kibi);
      CHECK(memory.allocator.was_in_use() == 0);
      if (bytes > 16 * kibi) CHECK(memory.allocator.allocate(size) == memory.allocator.region().begin());
    }
  }
}

TEST_CASE("what nobody has used for a round goes back to the system, and is granted anew when it is used again") {
  LargeMemory memory;
  std::byte* const block = memory.allocator.allocate(LargeMemory::above);
  REQUIRE(block != nullptr);
  std::memset(block, 1, LargeMemory::above);
  memory.allocator.release(block, LargeMemory::above);
  CHECK(memory.allocator.was_above_kept() == LargeMemory::above);
  memory.allocator.begin_round();
  CHECK(memory.allocator.give_back_unused(SIZE_MAX) == 0);  // It was used in the round that has just passed.
  CHECK(memory.resident() == memory.mapping.size());
  memory.allocator.begin_round();
  CHECK(memory.allocator.give_back_unused(SIZE_MAX) == LargeMemory::above);
  CHECK(memory.resident() == always_kept);
  CHECK(memory.allocator.was_above_kept() == 0);
  CHECK(memory.allocator.give_back_unused(SIZE_MAX) == 0);
  CHECK(memory.allocator.allocate(LargeMemory::above) == block);
  CHECK(memory.resident() == memory.mapping.size());  // before anybody touches it
  memory.pass_rounds();
  CHECK(memory.allocator.give_back_unused(SIZE_MAX) == 0);  // It is in use.
}

TEST_CASE("no more goes back to the system at once than was asked for, and nothing that is in use") {
  LargeMemory memory;
  std::vector<std::byte*> blocks;
  while (std::byte* block = memory.allocator.allocate(mebi + 1)) {
    std::memset(block, static_cast<int>(blocks.size() + 1), mebi + 1);
    blocks.push_back(block);
  }
  REQUIRE(blocks.size() == 7);
  const std::size_t granted = memory.resident();
  CHECK(memory.allocator.was_above_kept() == granted - always_kept);
  for (std::size_t i = 0; i < blocks.size(); i += 2) memory.allocator.release(blocks[i], mebi + 1);
  memory.pass_rounds();
  std::size_t given = 0;
  while (const std::size_t now = memory.allocator.give_back_unused(512 * kibi)) {
    CHECK(now <= 512 * kibi);
    given += now;
  }
  CHECK(given >= 3 * mebi);
  CHECK(memory.resident() == granted - given);
  CHECK(memory.allocator.was_above_kept() == granted - given - always_kept);
  for (std::size_t i = 1; i < blocks.size(); i += 2) {
    CHECK(std::all_of(blocks[i], blocks[i] + mebi + 1, [i](std::byte each) { return each == std::byte(i + 1); }));
  }
}

TEST_CASE("no more goes back at once than was asked for and a granule, though the region ends within one") {
  constexpr std::size_t granule = 256 * kibi;
  const SharedMapping mapping(always_kept + 8 * mebi + 64 * kibi);
  BlockAllocator allocator(mapping, mapping.begin(), mapping.size());
  REQUIRE(allocator.allocate(always_kept) != nullptr);
  std::vector<std::pair<std::byte*, std::size_t>> blocks;
  for (const std::size_t bytes : {2 * mebi, 64 * kibi, 2 * mebi, 64 * kibi, 4 * mebi - 64 * kibi}) {
    blocks.emplace_back(allocator.allocate(bytes), bytes);
    REQUIRE(blocks.back().first != nullptr);
  }
  REQUIRE(allocator.allocate(1) == nullptr);
  for (const std::size_t i : {0U, 2U, 4U}) allocator.release(blocks[i].first, blocks[i].second);
  allocator.begin_round();
  allocator.begin_round();
  constexpr std::size_t most = 15 * granule + granule / 2;  // The end is given back first, and a part of it is left.
  CHECK(allocator.give_back_unused(most) <= most + granule);
  CHECK(allocator.give_back_unused(SIZE_MAX) > 0);
}

TEST_CASE("what is used again and again stays granted, and so do the first bytes, however long they are unused") {
  LargeMemory memory;
  for (int round = 0; round < 5; ++round) {
    memory.allocator.release(memory.allocator.allocate(LargeMemory::above), LargeMemory::above);
    memory.allocator.begin_round();
    CHECK(memory.allocator.give_back_unused(SIZE_MAX) == 0);
  }
  memory.allocator.release(memory.kept, always_kept);
  memory.pass_rounds();
  CHECK(memory.allocator.give_back_unused(SIZE_MAX) == LargeMemory::above);
  CHECK(memory.resident() == always_kept);
}

TEST_CASE("a shared block goes back by itself, once") {
  Memory memory;
  std::byte* first = nullptr;
  {
    SharedBlock block(memory.allocator, 200);
    REQUIRE(block);
    first = block.data();
    SharedBlock moved(std::move(block));
    CHECK_FALSE(block);
    CHECK(moved.data() == first);
    CHECK(moved.size() == 200);
  }
  CHECK(memory.allocator.allocate(200) == first);
  CHECK(memory.allocator.allocate(200) != first);
  CHECK_FALSE(SharedBlock(memory.allocator, size + 1));
  CHECK_FALSE(SharedBlock());
}

TEST_CASE("a shared block is not given back by a process that was forked from the one that has it") {
  Memory memory;
  SharedBlock block(memory.allocator, 200);
  const std::size_t in_use = memory.allocator.was_in_use();
  CHECK(true_in_child([&] {
    { const SharedBlock left(std::move(block)); }
    return memory.allocator.was_in_use() == in_use;
  }));
}
