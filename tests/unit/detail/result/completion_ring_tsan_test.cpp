// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <procpool/detail/result/completion_ring.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/patience.hpp"

using procpool::detail::CompletionRing;
using procpool::detail::Handle;

TEST_CASE("what one thread pushes another drains, or is told to scan for it") {
  const Handle total = support::is_full_run() ? 5'000'000 : 200'000;
  const auto ring = std::make_unique<CompletionRing>();
  // What the state of a slot is to the pool: set before the push, looked at by a scan.
  std::vector<std::atomic<bool>> ended(total);
  std::vector<bool> seen(total);
  Handle seen_count = 0;
  const auto see = [&](Handle handle) {
    if (seen[handle]) return;
    if (!ended[handle].load(std::memory_order_acquire)) std::abort();
    seen[handle] = true;
    ++seen_count;
  };

  std::thread worker([&] {
    for (Handle handle = 0; handle < total; ++handle) {
      ended[handle].store(true, std::memory_order_release);
      ring->push(handle);
    }
  });
  while (seen_count < total) {
    if (!ring->had_something()) {
      std::this_thread::yield();
      continue;
    }
    if (ring->drain(see)) continue;
    for (Handle handle = 0; handle < total; ++handle) {
      if (ended[handle].load(std::memory_order_acquire)) see(handle);
    }
  }
  worker.join();
  CHECK(seen_count == total);
}
