// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/detail/result/outbox.hpp>
#include <procpool/detail/result/outbox_writer.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/patience.hpp"
#include "../../../support/resident.hpp"

using procpool::detail::Extent;
using procpool::detail::FillingWord;
using procpool::detail::Life;
using procpool::detail::Outbox;
using procpool::detail::OutboxWriter;
using procpool::detail::SharedMapping;

namespace {

constexpr std::size_t kibi = 1024;
constexpr std::size_t extent_size = Outbox::smallest_extent;
constexpr std::size_t kept_extents = procpool::detail::always_kept / extent_size;

/// An outbox of a few extents.
struct Memory {
  explicit Memory(std::size_t extents)
      : mapping(Outbox::table_size + extents * extent_size),
        is_committed(mapping.commit(mapping.begin(), Outbox::table_size)),
        outbox(mapping, mapping.begin(), mapping.begin() + Outbox::table_size, extents * extent_size) {}

  [[nodiscard]] std::size_t free_extents() const {
    std::size_t free = 0;
    for (std::size_t i = 0; i < outbox.count(); ++i) {
      free += outbox.extent(i).owner.load() == 0 && outbox.extent(i).was_empty() ? 1 : 0;
    }
    return free;
  }

  SharedMapping mapping;
  bool is_committed;
  Outbox outbox;
};

/// A worker's writer with the word of its row.
struct Writer {
  Writer(Outbox& box, Life its_life) : outbox(box), life(its_life), writer(box, its_life, filling) {}

  /// What the supervisor does for a worker that died before it published its last block.
  void die() {
    const FillingWord word(filling.exchange(0));
    if (word.names_a_block()) {
      Extent& extent = outbox.extent(word.extent());
      const bool counted = (extent.allocated.load() & FillingWord::count_mask) == word.count();
      if (counted) outbox.give_back(outbox.address(word.extent()));
    }
    outbox.orphan(life);
  }

  Outbox& outbox;
  Life life;
  std::atomic<std::uint64_t> filling{0};
  OutboxWriter writer;
};

constexpr std::size_t for_ever = SIZE_MAX;
std::size_t grants = for_ever;  // of memory that the system will make

/// For a scope the system has no more memory, or is asked for some so often before it has none.
class NoMoreMemory {
 public:
  explicit NoMoreMemory(std::size_t before = 0) { grants = before; }
  NoMoreMemory(const NoMoreMemory&) = delete;
  NoMoreMemory& operator=(const NoMoreMemory&) = delete;
  ~NoMoreMemory() { grants = for_ever; }
};

std::optional<int> naps;  // of usleep(3), while they are counted and take no time

}  // namespace

/// The C library's, but while a test has it refuse.
extern "C" int fallocate(int fd, int mode, ::off_t offset, ::off_t length) {
  if (grants == 0) {
    errno = ENOSPC;
    return -1;
  }
  if (grants != for_ever) --grants;
  static const auto real = reinterpret_cast<int (*)(int, int, ::off_t, ::off_t)>(::dlsym(RTLD_NEXT, "fallocate"));
  return real(fd, mode, offset, length);
}

/// The C library's, but while a test counts its calls.
extern "C" int usleep(::useconds_t microseconds) {  // sleeps: as long as the library asks it to
  if (naps) {
    ++*naps;
    return 0;
  }
  static const auto real = reinterpret_cast<int (*)(::useconds_t)>(::dlsym(RTLD_NEXT, "usleep"));
  return real(microseconds);
}

TEST_CASE("a filling word says which block it names") {
  CHECK_FALSE(FillingWord().names_a_block());
  for (const std::size_t extent : {std::size_t{0}, std::size_t{5}, Outbox::most_extents - 1}) {
    const FillingWord word(extent, (std::uint64_t{1} << 40) + 17, 0xFFFFFFFF);
    CHECK(word.names_a_block());
    CHECK(word.extent() == extent);
    CHECK(word.count() == 17);
    CHECK(word.item() == 0xFFFFFFFF);
  }
}

TEST_CASE("an outbox has no more extents than its table has room for, whatever its size") {
  const SharedMapping mapping(2 * Outbox::table_size);
  REQUIRE(mapping.commit(mapping.begin(), mapping.size()));
  for (std::size_t size = extent_size; size < std::size_t{1} << 36; size += size / 7 + 4096) {
    const Outbox outbox(mapping, mapping.begin(), mapping.begin(), size);
    if (outbox.count() > Outbox::most_extents || outbox.capacity() + size / 64 + extent_size < size) {
      FAIL(outbox.count() << " extents of " << outbox.extent_size() << " bytes for " << size);
    }
  }
  SUCCEED();
}

TEST_CASE("an outbox tells addresses inside from those outside, whatever they are") {
  const Memory memory(2);
  const Outbox& outbox = memory.outbox;
  CHECK(outbox.count() == 2);
  CHECK(outbox.holds(outbox.address(0), outbox.capacity()));
  CHECK_FALSE(outbox.holds(outbox.address(0), outbox.capacity() + 1));
  CHECK_FALSE(outbox.holds(outbox.address(0) - 1, 1));
  CHECK_FALSE(outbox.holds(outbox.address(2), 0));
  CHECK_FALSE(outbox.holds(outbox.address(1), SIZE_MAX));
  CHECK_FALSE(outbox.holds(nullptr, 8));
}

TEST_CASE("small blocks lie one behind the other, and the extent is used from the front again once all came back") {
  Memory memory(2);
  Writer worker(memory.outbox, 7);
  std::byte* const first = worker.writer.allocate(100);
  std::byte* const second = worker.writer.allocate(1);
  CHECK(first == memory.outbox.address(0));
  CHECK(second == first + 128);
  memory.outbox.give_back(first);
  CHECK(worker.writer.allocate(8000) == second + 64);
  memory.outbox.give_back(second);
  memory.outbox.give_back(second + 64);
  CHECK(worker.writer.allocate(1) == first);
  CHECK(memory.free_extents() == 1);
}

TEST_CASE("a worker whose extents are full goes on in one that has emptied") {
  Memory memory(2);
  Writer worker(memory.outbox, 7);
  constexpr std::size_t bytes = 32 * kibi;
  std::vector<std::byte*> blocks;
  while (std::byte* block = worker.writer.allocate(bytes)) blocks.push_back(block);
  REQUIRE(blocks.size() == 2 * extent_size / bytes);
  for (std::size_t i = 0; i < blocks.size() / 2; ++i) {
    CHECK(worker.writer.allocate(bytes) == nullptr);
    memory.outbox.give_back(blocks[i]);
  }
  for (std::size_t i = 0; i < blocks.size() / 2; ++i) CHECK(worker.writer.allocate(bytes) == blocks[i]);
  CHECK(worker.writer.allocate(bytes) == nullptr);
}

TEST_CASE("a large block takes a run of extents that is free as soon as it was read") {
  Memory memory(5);
  Writer worker(memory.outbox, 7);
  std::byte* const large = worker.writer.allocate(3 * extent_size - 10);
  REQUIRE(large == memory.outbox.address(0));
  large[0] = large[3 * extent_size - 11] = std::byte{1};
  CHECK(memory.free_extents() == 2);
  CHECK(worker.writer.allocate(3 * extent_size) == nullptr);
  CHECK(worker.writer.allocate(extent_size / 2) == memory.outbox.address(3));
  memory.outbox.give_back(large);
  CHECK(memory.free_extents() == 4);
  CHECK(worker.writer.allocate(3 * extent_size) == large);
  CHECK(worker.writer.allocate(6 * extent_size) == nullptr);
}

TEST_CASE("a run is found between extents that are taken") {
  Memory memory(6);
  REQUIRE(memory.outbox.extent(2).claim(9));
  CHECK(memory.outbox.claim(7, 3 * extent_size) == std::size_t{3});
  CHECK(memory.outbox.claim(7, 3 * extent_size) == std::nullopt);
  CHECK(memory.outbox.claim(7, 2 * extent_size) == std::size_t{0});
  CHECK(memory.free_extents() == 0);
}

TEST_CASE("results outlive the worker that wrote them, and their extents come back with the last one") {
  Memory memory(4);
  auto worker = std::make_unique<Writer>(memory.outbox, 7);
  std::byte* const small = worker->writer.allocate(10);
  worker->writer.published();
  std::byte* const other = worker->writer.allocate(10);
  worker->writer.published();
  std::byte* const large = worker->writer.allocate(2 * extent_size);
  worker->writer.published();
  worker->die();
  CHECK(memory.free_extents() == 1);
  memory.outbox.give_back(small);
  memory.outbox.give_back(large);
  CHECK(memory.free_extents() == 3);
  memory.outbox.give_back(other);
  CHECK(memory.free_extents() == 4);
}

TEST_CASE("a worker goes on behind the results of a dead one, so that they keep no more memory than they need") {
  Memory memory(2);
  std::vector<std::byte*> blocks;
  for (Life life = 1; life <= 40; ++life) {
    Writer worker(memory.outbox, life);
    blocks.push_back(worker.writer.allocate(8 * kibi));
    REQUIRE(blocks.back() == memory.outbox.address(0) + (life - 1) % 32 * 8 * kibi + (life - 1) / 32 * extent_size);
    worker.writer.published();
    worker.die();
  }
  CHECK(memory.free_extents() == 0);
  for (std::byte* const block : blocks) memory.outbox.give_back(block);
  CHECK(memory.free_extents() == 2);
}

TEST_CASE("a worker leaves alone what belongs to one that lives, is large, or has no room") {
  Memory memory(4);
  Writer alive(memory.outbox, 1);
  REQUIRE(alive.writer.allocate(10) == memory.outbox.address(0));
  Writer large(memory.outbox, 2);
  REQUIRE(large.writer.allocate(extent_size) == memory.outbox.address(1));
  large.writer.published();
  large.die();
  Writer full(memory.outbox, 3);
  for (int i = 0; i < 4; ++i) REQUIRE(full.writer.allocate(extent_size / 4 - 64) != nullptr);
  full.writer.published();
  full.die();
  Writer next(memory.outbox, 4);
  CHECK(next.writer.allocate(1000) == memory.outbox.address(3));
  Writer small(memory.outbox, 5);
  CHECK(small.writer.allocate(256) == memory.outbox.address(2) + extent_size - 256);
  CHECK(Writer(memory.outbox, 6).writer.allocate(256) == nullptr);
}

TEST_CASE("whatever a worker was about when it died, its extents come back") {
  Memory memory(4);
  Writer worker(memory.outbox, 7);
  SECTION("it had claimed a run") { REQUIRE(memory.outbox.claim(7, 3 * extent_size)); }
  SECTION("it was filling a small block") { REQUIRE(worker.writer.allocate(10)); }
  SECTION("it was filling a large block") { REQUIRE(worker.writer.allocate(3 * extent_size)); }
  SECTION("it had said which block it would fill, and not counted it") {
    REQUIRE(worker.writer.allocate(10));
    worker.writer.published();
    memory.outbox.give_back(memory.outbox.address(0));
    worker.filling = FillingWord(0, 2, 0).bits;
  }
  SECTION("it had counted a large block, and not said how long it is") {
    REQUIRE(memory.outbox.claim(7, 3 * extent_size) == std::size_t{0});
    worker.filling = FillingWord(0, 1, 0).bits;
    memory.outbox.extent(0).allocated = 1;
  }
  SECTION("it had nothing in hand") {
    std::byte* const block = worker.writer.allocate(10);
    worker.writer.published();
    memory.outbox.give_back(block);
  }
  worker.die();
  CHECK(memory.free_extents() == 4);
}

TEST_CASE("one who gives a block back late does not free the orphan of another life") {
  Memory memory(1);
  Extent& extent = memory.outbox.extent(0);
  REQUIRE(extent.claim(7));
  extent.orphan(7);
  REQUIRE(extent.owner.load() == 0);
  REQUIRE(extent.claim(8));
  extent.orphan(7);  // of a supervisor that read the owner before
  CHECK(extent.owner.load() == 8);
  extent.give_back_from_run(7);  // of a reader that read the owner before
  CHECK(extent.owner.load() == 8);
}

TEST_CASE("blocks of workers that come and go never overlap, and in the end everything comes back") {
  struct Block {
    std::byte* at;
    std::size_t bytes;
    std::byte filling;
  };
  int refused = 0;
  for (unsigned seed = 0; seed < (support::is_full_run() ? 300U : 12U); ++seed) {
    Memory memory(std::uniform_int_distribution<std::size_t>(2, 12)(*std::make_unique<std::mt19937>(seed)));
    std::mt19937 random(seed);
    Life next_life = 1;
    std::list<Writer> workers;
    std::vector<Block> unread;
    const auto give_back_one = [&] {
      const std::size_t chosen = random() % unread.size();
      const Block block = unread[chosen];
      unread[chosen] = unread.back();
      unread.pop_back();
      if (!std::all_of(block.at, block.at + block.bytes, [&](std::byte b) { return b == block.filling; })) {
        FAIL("seed " << seed << ": a block was overwritten before it was read");
      }
      memory.outbox.give_back(block.at);
    };
    for (int step = 0; step < 4000; ++step) {
      const auto what = random() % 100;
      if (workers.size() < 3) {
        workers.emplace_back(memory.outbox, next_life++);
      } else if (what < 3) {
        const auto dead = std::next(workers.begin(), static_cast<std::ptrdiff_t>(random() % workers.size()));
        if (random() % 2 == 0) static_cast<void>(dead->writer.allocate(1 + random() % (2 * extent_size)));
        dead->die();
        workers.erase(dead);
      } else if (what < 52 && !unread.empty()) {
        give_back_one();
      } else {
        Writer& worker = *std::next(workers.begin(), static_cast<std::ptrdiff_t>(random() % workers.size()));
        const std::size_t largest = std::size_t{1} << random() % 19;
        const std::size_t bytes = random() % 50 == 0 ? 1 + random() % (2 * extent_size) : 1 + random() % largest;
        std::byte* const at = worker.writer.allocate(bytes);
        worker.writer.published();
        if (at == nullptr) {
          ++refused;
          continue;
        }
        if (!memory.outbox.holds(at, bytes)) FAIL("seed " << seed << ": a block outside");
        unread.push_back({at, bytes, static_cast<std::byte>(step)});
        std::memset(at, step & 0xFF, bytes);
      }
    }
    while (!unread.empty()) give_back_one();
    for (Writer& worker : workers) worker.die();
    if (memory.free_extents() != memory.outbox.count()) {
      FAIL("seed " << seed << ": only " << memory.free_extents() << " of " << memory.outbox.count() << " came back");
    }
  }
  CHECK(refused > 0);
}

TEST_CASE("a worker to which the system gives no more memory fills what it has committed in its other extents") {
  Memory memory(2);
  Writer worker(memory.outbox, 7);
  std::byte* const first = worker.writer.allocate(64 * kibi);  // commits 128 KiB
  REQUIRE(first == memory.outbox.address(0));
  for (std::size_t i = 0; i < 3; ++i) REQUIRE(worker.writer.allocate(48 * kibi) == first + (64 + 48 * i) * kibi);
  std::byte* const second = worker.writer.allocate(60 * kibi);  // There were 48 left.
  REQUIRE(second == memory.outbox.address(1));
  const NoMoreMemory scope;
  CHECK(worker.writer.allocate(64 * kibi) == second + 60 * kibi);
  CHECK(worker.writer.allocate(32 * kibi) == first + 208 * kibi);  // 4 are left of what is committed of the second.
  CHECK(worker.writer.allocate(4 * kibi) == first + 240 * kibi);
  CHECK(worker.writer.allocate(64 * kibi) == nullptr);
  CHECK(worker.writer.allocate(4 * kibi) == first + 244 * kibi);
}

TEST_CASE("a worker to which the system gives no memory takes what others have committed and left, dead or not") {
  Memory memory(4);
  {
    Writer alive(memory.outbox, 7);
    std::byte* const large = alive.writer.allocate(extent_size + 100);
    REQUIRE(large == memory.outbox.address(0));
    Writer dead(memory.outbox, 8);
    REQUIRE(dead.writer.allocate(100) == memory.outbox.address(2));
    dead.writer.published();
    dead.die();
    memory.outbox.give_back(large);
  }
  REQUIRE(memory.outbox.extent(0).claim(9));  // Of the run it leaves the second, of which little is committed.
  REQUIRE(memory.outbox.extent(3).committed.load() == 0);
  const NoMoreMemory scope;
  Writer worker(memory.outbox, 10);
  CHECK(worker.writer.allocate(192 * kibi) == nullptr);
  CHECK(worker.writer.allocate(64 * kibi) == memory.outbox.address(1));
  CHECK(worker.writer.allocate(64 * kibi) == memory.outbox.address(1) + 64 * kibi);
  CHECK(worker.writer.allocate(64 * kibi) == memory.outbox.address(2) + 128);
  CHECK(worker.writer.allocate(64 * kibi) == nullptr);
  CHECK(memory.outbox.extent(3).owner.load() == 0);
}

TEST_CASE("a large result goes where memory was committed for one before, if the system gives no more") {
  Memory memory(5);
  Writer worker(memory.outbox, 7);
  REQUIRE(memory.outbox.extent(0).claim(9));
  std::byte* const before = worker.writer.allocate(2 * extent_size);
  REQUIRE(before == memory.outbox.address(1));
  memory.outbox.give_back(before);
  memory.outbox.extent(0).free();
  const NoMoreMemory scope;
  CHECK(worker.writer.allocate(3 * extent_size) == nullptr);
  CHECK(memory.free_extents() == 5);
  std::byte* const large = worker.writer.allocate(2 * extent_size);
  CHECK(large == before);
  CHECK(worker.writer.allocate(2 * extent_size) == nullptr);
  memory.outbox.give_back(large);
  CHECK(memory.free_extents() == 5);
}

TEST_CASE("extents that nobody has used for a round are cleared, but for the first ones, and claimed as before") {
  Memory memory(kept_extents + 8);
  Writer writer(memory.outbox, 7);
  const std::size_t size = (kept_extents + 8) * extent_size;
  std::byte* const block = writer.writer.allocate(size);
  REQUIRE(block != nullptr);
  std::memset(block, 1, size);
  const std::size_t resident = support::resident_bytes(memory.mapping);
  memory.outbox.give_back(block);
  CHECK(memory.outbox.was_above_kept() == 8 * extent_size);
  memory.outbox.begin_round();
  CHECK(memory.outbox.give_back_unused(SIZE_MAX) == 0);  // It was used in the round that has just passed.
  memory.outbox.begin_round();
  CHECK(memory.outbox.give_back_unused(1) == extent_size);
  CHECK(memory.outbox.give_back_unused(SIZE_MAX) == 7 * extent_size);
  CHECK(memory.outbox.give_back_unused(SIZE_MAX) == 0);
  CHECK(memory.outbox.was_above_kept() == 0);
  CHECK(support::resident_bytes(memory.mapping) == resident - 8 * extent_size);
  CHECK(memory.free_extents() == kept_extents + 8);
  CHECK(writer.writer.allocate(size) == block);
  CHECK(support::resident_bytes(memory.mapping) == resident);  // before anybody touches it
  memory.outbox.begin_round();
  memory.outbox.begin_round();
  CHECK(memory.outbox.give_back_unused(SIZE_MAX) == 0);  // It is in use.
}

TEST_CASE("a worker that needs an extent that is just being cleared waits for it") {
  Memory memory(3);
  Extent& last = memory.outbox.extent(2);
  REQUIRE(last.claim(Extent::being_cleared));
  Writer writer(memory.outbox, 7);
  const std::size_t size = GENERATE(3 * extent_size, kibi);
  if (size == kibi) {
    REQUIRE(memory.outbox.extent(0).claim(8));
    REQUIRE(memory.outbox.extent(1).claim(8));
  }
  std::atomic<std::byte*> block{nullptr};
  std::thread worker([&] { block = writer.writer.allocate(size); });
  if (size != kibi) {  // It has come to the last.
    CHECK(support::eventually([&] { return memory.outbox.extent(1).owner.load() == 7; }));
  }
  last.free();
  worker.join();
  CHECK(block.load() == memory.outbox.address(size == kibi ? 2 : 0));
}

TEST_CASE("a worker lets go of the extents that have emptied, as it works on and before it sleeps") {
  Memory memory(kept_extents + 8);
  const auto kept = memory.outbox.claim(9, kept_extents * extent_size);
  REQUIRE(kept == std::size_t{0});
  Writer writer(memory.outbox, 7);
  std::vector<std::byte*> blocks;
  while (std::byte* block = writer.writer.allocate(extent_size / 8)) blocks.push_back(block);
  REQUIRE(blocks.size() == 64);
  CHECK(memory.free_extents() == 0);
  writer.writer.leave_empty();
  CHECK(memory.free_extents() == 0);  // Results lie in all of them.
  for (const std::byte* block : blocks) memory.outbox.give_back(block);
  CHECK_FALSE(memory.outbox.is_kept_by_sleepers());
  memory.outbox.begin_round();
  memory.outbox.begin_round();
  CHECK(memory.outbox.is_kept_by_sleepers());
  SECTION("as it works on") {
    for (int i = 0; i < 20; ++i) memory.outbox.give_back(writer.writer.allocate(extent_size / 8));
    CHECK(memory.free_extents() == 7);
  }
  SECTION("before it sleeps") {
    writer.writer.leave_empty();
    CHECK(memory.free_extents() == 8);
    CHECK_FALSE(memory.outbox.is_kept_by_sleepers());
    CHECK(memory.outbox.give_back_unused(SIZE_MAX) == 8 * extent_size);
  }
}

TEST_CASE("an extent that only looks as if it were being cleared is waited for once") {
  Memory memory(3);
  Extent& ruined = memory.outbox.extent(0);
  ruined.owner = Extent::being_cleared;
  Writer writer(memory.outbox, 7);
  naps = 0;
  std::byte* const first = writer.writer.allocate(extent_size);
  CHECK(std::exchange(naps, 0) > 0);
  std::byte* const second = writer.writer.allocate(extent_size);
  CHECK(std::exchange(naps, std::nullopt) == 0);
  CHECK(first == memory.outbox.address(1));
  CHECK(second == memory.outbox.address(2));
  CHECK_FALSE(ruined.was_owned());
  ruined.free();  // as a supervisor does who was stopped while he cleared it
  CHECK(writer.writer.allocate(extent_size) == memory.outbox.address(0));
}

TEST_CASE("what was committed for a result that never came is cleared as well") {
  Memory memory(kept_extents + 8);
  const std::size_t size = (kept_extents + 8) * extent_size;
  Writer writer(memory.outbox, 7);
  SECTION("because its worker died before it had a block") {
    REQUIRE(memory.outbox.claim(7, size) == std::size_t{0});
    REQUIRE(memory.outbox.commit(0, size));
    writer.die();
  }
  SECTION("because the system had no more") {
    const NoMoreMemory scope(kept_extents + 7);
    CHECK(writer.writer.allocate(size) == nullptr);
  }
  CHECK(memory.free_extents() == kept_extents + 8);
  const std::size_t above = memory.outbox.was_above_kept();
  CHECK(above >= 7 * extent_size);
  memory.outbox.begin_round();
  memory.outbox.begin_round();
  CHECK(memory.outbox.give_back_unused(SIZE_MAX) == above);
  CHECK(support::resident_bytes(memory.mapping) == Outbox::table_size + kept_extents * extent_size);
}

TEST_CASE("a ruined count of the extents that have memory harms none behind the table") {
  Memory memory(kept_extents + 1);
  constexpr std::size_t at = Outbox::table_size - sizeof(Extent);
  std::memset(memory.mapping.begin() + at, 0xFF, sizeof(Extent));
  memory.outbox.begin_round();
  memory.outbox.begin_round();
  CHECK(memory.outbox.was_above_kept() == 0);
  CHECK_FALSE(memory.outbox.is_kept_by_sleepers());
  CHECK(memory.outbox.give_back_unused(SIZE_MAX) == 0);
}

TEST_CASE("a worker that sleeps keeps an extent that would not be given back") {
  Memory memory(2);
  Writer writer(memory.outbox, 7);
  memory.outbox.give_back(writer.writer.allocate(kibi));
  writer.writer.leave_empty();
  CHECK(memory.outbox.extent(0).owner.load() == 7);
}
