// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/leftovers.hpp"
#include "../support/patience.hpp"
#include "../support/resident.hpp"
#include "../support/tasks.hpp"

using procpool::ProcessPool;
using procpool::detail::always_kept;
using procpool::detail::UnusedMemory;
using support::eventually;
using support::mebi;
using support::resident_bytes;
using support::text_of;

namespace {

constexpr std::size_t large_size = 32 * mebi;

std::size_t resident(ProcessPool<>& pool) { return resident_bytes(pool.sender().core->exchange().mapping); }

/// What a pool keeps of it for ever: the first bytes for arguments, for arrays and for results.
constexpr std::size_t all_kept = 3 * always_kept + 8 * mebi;

std::string text_as_given(std::string text) { return text; }

constexpr std::size_t middle_size = 60'000;  // of such results many share an extent

/// Moves much there and back, and has an array of as much.
void move_much(ProcessPool<>& pool) {
  const auto array = pool.make_array<char>(large_size);
  CHECK(pool.submit(text_as_given, text_of(large_size)).get().size() == large_size);
  CHECK(resident(pool) > 3 * large_size);
}

/// As the supervisor does in time.
void give_back_unused(ProcessPool<>& pool) {
  procpool::detail::PoolCore& core = *pool.sender().core;
  UnusedMemory unused(core.exchange(), core.layout());
  unused.begin_round();
  unused.begin_round();
  while (unused.give_back(8 * mebi) > 0) {
  }
}

}  // namespace

TEST_CASE("what large arguments, results and arrays have taken goes back to the system once nobody uses it") {
  ProcessPool pool{1};
  move_much(pool);
  give_back_unused(pool);
  CHECK(resident(pool) <= all_kept);
  move_much(pool);
}

TEST_CASE("what is held is never given back to the system") {
  ProcessPool pool{1};
  const auto array = pool.make_array<char>(large_size);
  std::fill_n(array.data(), large_size, 'a');
  auto future = pool.submit(text_as_given, text_of(large_size));
  auto borrowed = pool.submit(text_as_given, std::string(large_size, 'b')).borrow();
  future.wait();
  give_back_unused(pool);
  CHECK(std::count(array.data(), array.data() + large_size, 'a') == large_size);
  CHECK(future.get() == text_of(large_size));
  CHECK(std::count(borrowed->begin(), borrowed->end(), 'b') == large_size);
}

TEST_CASE("what many results of middle size have taken goes back to the system though their workers live") {
  ProcessPool pool{{.workers = 2, .shared_memory = 1024 * mebi}};
  std::vector<procpool::Future<std::string>> futures;
  for (int i = 0; i < 1500; ++i) futures.push_back(pool.submit(text_of, middle_size));
  procpool::wait_all(futures);
  CHECK(resident(pool) > futures.size() * middle_size);
  futures.clear();
  CHECK(eventually([&] {
    give_back_unused(pool);
    return resident(pool) <= always_kept + 8 * mebi;
  }));
}

TEST_CASE("a pool gives back what it has not used by itself, and then sleeps") {
  if (!support::is_full_run()) return support::skip_case("it takes six seconds");
  ProcessPool pool{1};
  const auto is_done = [&] { return resident(pool) <= all_kept && pool.sender().core->supervisor().was_asleep(); };
  SECTION("after work") { move_much(pool); }
  SECTION("when what was held is let go, though the pool has long slept") {
    auto future = pool.submit(text_as_given, text_of(large_size));
    CHECK(eventually([&] { return pool.sender().core->supervisor().was_asleep(); }));
    CHECK(future.get().size() == large_size);
  }
  SECTION("when an array was made and let go while it slept, and no task came") {
    CHECK(eventually([&] { return pool.sender().core->supervisor().was_asleep(); }));
    static_cast<void>(pool.make_array<char>(2 * large_size));
    CHECK(resident(pool) > all_kept);
  }
  CHECK(eventually(is_done, std::chrono::seconds(30)));
}
