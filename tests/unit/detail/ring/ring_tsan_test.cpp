// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <procpool/detail/ring/ring.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/patience.hpp"

using procpool::detail::Cell;
using procpool::detail::Handle;
using procpool::detail::Ring;

TEST_CASE("many who publish under a lock and many who claim by one exchange lose nothing and take nothing twice") {
  constexpr std::size_t capacity = 6;
  constexpr int publishers = 2;
  constexpr int claimers = 3;
  const int each = support::is_full_run() ? 500'000 : 20'000;
  const auto total = static_cast<std::size_t>(publishers * each);

  Ring::Word head{0};
  std::array<Ring::Word, 8> cells{};
  Ring ring(head, cells.data(), capacity);
  // What the slots are to the pool: the ticket that waits there, and what was written before it was published.
  std::vector<std::atomic<std::uint64_t>> waiting(total);
  std::vector<std::uint64_t> payload(total);
  std::vector<std::atomic<int>> claims(total);
  std::mutex submit;
  std::atomic<std::size_t> claimed{0};

  std::vector<std::thread> threads;
  for (int p = 0; p < publishers; ++p) {
    threads.emplace_back([&, p] {
      for (int i = 0; i < each; ++i) {
        const auto handle = static_cast<Handle>(p * each + i);
        std::unique_lock lock(submit);
        while (ring.was_full()) {
          lock.unlock();
          std::this_thread::yield();
          lock.lock();
        }
        payload[handle] = handle + 1;
        waiting[handle].store(ring.next_position(), std::memory_order_release);
        ring.publish(handle);
      }
    });
  }
  for (int c = 0; c < claimers; ++c) {
    threads.emplace_back([&] {
      while (claimed.load(std::memory_order_relaxed) < total) {
        const std::uint64_t position = ring.head();
        const std::optional<Cell> cell = ring.peek(position);
        if (!cell) {
          if (ring.was_lapped(position)) ring.pass(position);
          else std::this_thread::yield();
          continue;
        }
        std::uint64_t ticket = cell->ticket();
        const bool mine = waiting[cell->handle()].compare_exchange_strong(ticket, 0, std::memory_order_acq_rel);
        ring.pass(position);
        if (!mine) continue;
        if (payload[cell->handle()] != cell->handle() + 1) std::abort();
        claims[cell->handle()].fetch_add(1, std::memory_order_relaxed);
        claimed.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::size_t once = 0;
  for (const auto& count : claims) once += count.load() == 1 ? 1 : 0;
  CHECK(once == total);
}
