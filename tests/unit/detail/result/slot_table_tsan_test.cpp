// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <procpool/detail/result/slot_table.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/patience.hpp"

using procpool::detail::Handle;
using procpool::detail::SharedMapping;
using procpool::detail::SlotTable;

TEST_CASE("threads that allocate under the submit lock and release without it never share a slot") {
  constexpr std::size_t capacity = 64;
  const int rounds = support::is_full_run() ? 300'000 : 10'000;
  const SharedMapping mapping(std::size_t{1} << 20);
  SlotTable slots(mapping, mapping.begin(), capacity);
  std::mutex submit;
  std::vector<std::atomic<int>> users(capacity);
  std::vector<int> plain(capacity);  // of the slot's user alone
  std::atomic<bool> is_sound{true};

  const auto give_back = [&](Handle handle) {
    ++plain[handle];
    if (const auto* note = slots.note(handle); note != nullptr && note->items != handle) is_sound = false;
    users[handle].fetch_sub(1, std::memory_order_relaxed);
    slots.release(handle);
  };
  const auto use = [&](unsigned seed) {
    std::vector<Handle> held;
    for (int round = 0; round < rounds; ++round) {
      seed = seed * 1664525 + 1013904223;
      if (held.size() < 12 && (seed >> 16) % 2 == 0) {
        std::optional<Handle> handle;
        {
          const std::lock_guard lock(submit);
          handle = slots.allocate();
        }
        if (!handle) continue;
        if (users[*handle].fetch_add(1, std::memory_order_relaxed) != 0) is_sound = false;
        ++plain[*handle];
        if ((seed >> 20) % 4 == 0) slots.make_note(*handle).items = *handle;
        held.push_back(*handle);
      } else if (!held.empty()) {
        give_back(held.back());
        held.pop_back();
      }
    }
    for (const Handle handle : held) give_back(handle);
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back(use, i);
  for (auto& thread : threads) thread.join();

  CHECK(is_sound);
  std::size_t count = 0;
  while (slots.allocate()) ++count;
  CHECK(count == capacity);
}
