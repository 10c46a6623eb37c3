// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/detail/result/outbox.hpp>
#include <procpool/detail/result/outbox_writer.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/patience.hpp"

using procpool::detail::Life;
using procpool::detail::Outbox;
using procpool::detail::OutboxWriter;
using procpool::detail::SharedMapping;

namespace {

struct Block {
  std::byte* at;
  std::size_t bytes;
};

/// Published blocks on their way to a reader; a lock, as the state of a slot is, orders what was written.
class Published {
 public:
  void push(Block block) {
    const std::lock_guard lock(mutex_);
    blocks_.push_back(block);
  }
  std::optional<Block> pop() {
    const std::lock_guard lock(mutex_);
    if (blocks_.empty()) return std::nullopt;
    const Block block = blocks_.back();
    blocks_.pop_back();
    return block;
  }

 private:
  std::mutex mutex_;
  std::vector<Block> blocks_;
};

}  // namespace

TEST_CASE("readers, workers, and a supervisor who clears what is unused, never give an extent out twice or lose one") {
  constexpr std::size_t kept = procpool::detail::always_kept / Outbox::smallest_extent;
  constexpr std::size_t extents = kept + 10;
  const int lives = support::is_full_run() ? 3000 : 100;
  const SharedMapping mapping(Outbox::table_size + extents * Outbox::smallest_extent);
  REQUIRE(mapping.commit(mapping.begin(), Outbox::table_size));
  Outbox outbox(mapping, mapping.begin(), mapping.begin() + Outbox::table_size, extents * Outbox::smallest_extent);
  REQUIRE(outbox.claim(0x10000, kept * Outbox::smallest_extent) == std::size_t{0});  // The others may be cleared.
  Published published;
  std::atomic<bool> is_over{false};
  std::atomic<Life> next_life{1};

  // A thread is one worker after another; between two it is the supervisor, while readers give blocks back.
  const auto work = [&](unsigned seed) {
    for (int i = 0; i < lives; ++i) {
      const Life life = next_life.fetch_add(1, std::memory_order_relaxed);
      std::atomic<std::uint64_t> filling{0};
      OutboxWriter writer(outbox, life, filling);
      for (int blocks = 0; blocks < 30; ++blocks) {
        seed = seed * 1664525 + 1013904223;
        const std::size_t bytes =
            (seed >> 8) % 16 == 0 ? Outbox::smallest_extent + (seed >> 16) % 99 : 1 + (seed >> 8) % 9000;
        std::byte* const at = writer.allocate(bytes);
        if (at == nullptr) continue;
        std::memset(at, static_cast<int>(life & 0xFF), std::min<std::size_t>(bytes, 64));
        published.push({at, bytes});
      }
      outbox.orphan(life);
    }
  };
  const auto read = [&] {
    for (;;) {
      const bool was_over = is_over.load(std::memory_order_acquire);
      const std::optional<Block> block = published.pop();
      if (!block && was_over) return;
      if (!block) {
        std::this_thread::yield();
        continue;
      }
      const std::byte filling = block->at[0];
      if (std::any_of(block->at, block->at + std::min<std::size_t>(block->bytes, 64),
                      [&](std::byte b) { return b != filling; })) {
        std::abort();
      }
      outbox.give_back(block->at);
    }
  };

  std::size_t cleared = 0;
  const auto clear_once = [&] {
    outbox.begin_round();
    outbox.begin_round();
    static_cast<void>(outbox.is_kept_by_sleepers());
    cleared += outbox.give_back_unused(SIZE_MAX);
  };
  const auto clear = [&] {
    while (!is_over.load(std::memory_order_acquire)) clear_once();
  };

  std::vector<std::thread> workers;
  std::vector<std::thread> readers;
  std::thread clearer(clear);
  for (unsigned i = 0; i < 3; ++i) workers.emplace_back(work, i);
  for (int i = 0; i < 2; ++i) readers.emplace_back(read);
  for (auto& worker : workers) worker.join();
  is_over.store(true, std::memory_order_release);
  for (auto& reader : readers) reader.join();
  clearer.join();
  clear_once();  // The thread may never have come to it.

  std::size_t free = 0;
  for (std::size_t i = kept; i < extents; ++i) {
    free +=
        outbox.extent(i).owner.load() == 0 && outbox.extent(i).was_empty() && outbox.extent(i).run.load() == 0 ? 1 : 0;
  }
  CHECK(free == extents - kept);
  CHECK(cleared > 0);
}
