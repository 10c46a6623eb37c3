// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>

#include <procpool/detail/result/completion_ring.hpp>
#include <procpool/detail/wait/event_count.hpp>

#include "../support/catch.hpp"
#include "../support/scheduler/explore.hpp"

using model::demand;
using model::Explored;
using model::Run;
using procpool::detail::CompletionRing;
using procpool::detail::EventCount;
using procpool::detail::Handle;

namespace {

constexpr Handle handles = 6;
constexpr std::size_t ring_capacity = 512;

struct Shared {
  CompletionRing ring;
  EventCount event;
  std::atomic<int> sleepers{0};
  std::array<std::atomic<bool>, handles> is_done{};
};

/// Ends tasks and tells of each, as Worker::publish does.
void work(Shared& shared) {
  for (Handle handle = 0; handle < handles; ++handle) {
    shared.is_done[handle].exchange(true, std::memory_order_acq_rel);
    shared.ring.push(handle);
    if (shared.sleepers.load(std::memory_order_seq_cst) != 0) shared.event.ring_all();
  }
}

/// Waits until it has been told of all, or has found them by a scan where it was told that some are missing; as
/// CompletionHub::wait does.
void wait_for_all(Shared& shared) {
  std::array<bool, handles> is_known{};
  const auto look = [&] {
    const bool is_complete = shared.ring.drain([&](Handle handle) {
      if (handle >= handles) return;
      demand(shared.is_done[handle].load(std::memory_order_acquire), "a task is said to be done that is not");
      is_known[handle] = true;
    });
    for (Handle handle = 0; !is_complete && handle < handles; ++handle) {
      is_known[handle] |= shared.is_done[handle].load(std::memory_order_acquire);
    }
    return std::all_of(is_known.begin(), is_known.end(), [](bool is) { return is; });
  };
  while (!look()) {
    shared.sleepers.fetch_add(1, std::memory_order_seq_cst);
    const EventCount::Key key = shared.event.key();
    if (!shared.ring.had_something()) shared.event.wait(key);
    shared.sleepers.fetch_sub(1, std::memory_order_relaxed);
  }
}

}  // namespace

TEST_CASE("a completion ring tells of every end or that some are missing, whenever it overflows") {
  const Explored explored = model::explore(5'000, {.sleeps_end = false}, [](Run& run) {
    const auto shared = std::make_unique<Shared>();
    const std::size_t space = run.random().once_in(2) ? ring_capacity : run.random().below(handles + 2);
    run.in_one_step([&] {
      for (std::size_t i = space; i < ring_capacity; ++i) shared->ring.push(handles);
      return true;
    });
    model::Fiber& worker = run.start("worker", [&] { work(*shared); });
    wait_for_all(*shared);
    run.join(worker);
  });
  CHECK((!explored.is_whole || explored.steps > 100 * explored.runs));
}
