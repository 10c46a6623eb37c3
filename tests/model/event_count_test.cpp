// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <string>

#include <procpool/detail/wait/event_count.hpp>

#include "../support/catch.hpp"
#include "../support/scheduler/explore.hpp"

using model::demand;
using model::Explored;
using model::Run;
using procpool::detail::EventCount;

TEST_CASE("whoever rings after a change wakes each sleeper that has not seen it") {
  const Explored explored = model::explore(20'000, {.sleeps_end = false}, [](Run& run) {
    EventCount event;
    // In words of their own, on the heap: what lies on a stack becomes visible at once.
    const auto changes = std::make_unique<std::atomic<int>>(0);
    const auto sleeper = [&] {
      for (int seen = 0; seen < 2;) {
        const EventCount::Key key = event.key();
        // relaxed: the key, taken before, orders it
        if (const int now = changes->load(std::memory_order_relaxed); now > seen) seen = now;
        else event.wait(key);
      }
    };
    model::Fiber& first = run.start("sleeper", sleeper);
    model::Fiber& second = run.start("sleeper", sleeper);
    for (int i = 1; i <= 2; ++i) {
      changes->store(i, std::memory_order_relaxed);
      event.ring_all();
    }
    run.join(first);
    run.join(second);
  });
  CHECK((!explored.is_whole || explored.steps > explored.runs * 10));
}
