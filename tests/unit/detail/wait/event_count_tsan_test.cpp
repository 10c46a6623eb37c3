// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <thread>
#include <vector>

#include <procpool/detail/wait/event_count.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/patience.hpp"

using procpool::detail::EventCount;

TEST_CASE("no sleeper misses the change that was made before a ring, and sees what was written before it") {
  const int rounds = support::is_full_run() ? 200'000 : 5'000;
  EventCount event;
  std::atomic<int> turn{0};
  int plain = 0;  // written before each turn
  std::vector<std::thread> sleepers;
  std::atomic<int> seen{0};
  for (int i = 0; i < 3; ++i) {
    sleepers.emplace_back([&] {
      for (int next = 1; next <= rounds; ++next) {
        for (;;) {
          const auto key = event.key();
          if (turn.load(std::memory_order_acquire) >= next) break;
          event.wait(key);
        }
        if (plain != next) std::abort();
        // The writer goes on when all have seen the turn, so that `plain` is not written meanwhile.
        seen.fetch_add(1, std::memory_order_acq_rel);
        while (seen.load(std::memory_order_acquire) < 3 * next) std::this_thread::yield();
      }
    });
  }
  for (int next = 1; next <= rounds; ++next) {
    while (seen.load(std::memory_order_acquire) < 3 * (next - 1)) std::this_thread::yield();
    plain = next;
    turn.store(next, std::memory_order_release);
    event.ring_all();
  }
  for (auto& sleeper : sleepers) sleeper.join();
  CHECK(turn.load() == rounds);
}
