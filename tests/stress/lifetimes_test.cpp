// SPDX-License-Identifier: BSL-1.0

#include <signal.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/footprint.hpp"

using procpool::Future;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::eventually;
using support::Footprint;

namespace {

std::uint64_t recycled_lifetimes() { return support::is_full_run() ? 50'000 : 10'000; }
std::uint64_t violent_lifetimes() { return support::is_full_run() ? 20'000 : 2'000; }
constexpr std::uint64_t first_lifetimes = 300;  // after which nothing grows any more

constexpr std::size_t window = 50;  // tasks in flight

/// Private memory: 13 bytes for each of ten thousand lives. In the shared memory each result in flight may lie in an
/// extent of its own.
support::MayGrow growth_of_a_window(const ProcessPool<>& pool) {
  return {.private_memory = std::size_t{128} << 10,
          .shared_memory = window * pool.sender().core->exchange().outbox.extent_size()};
}

/// Lets workers live and end, as many as `live(count)` is told, and looks at what they leave.
template <class Live>
void many_lifetimes(ProcessPool<>& pool, std::uint64_t lifetimes, Live live) {
  live(first_lifetimes);
  CHECK(support::what_is_left(pool) == "");
  const Footprint before = support::footprint_of(pool);
  live(lifetimes);
  CHECK(support::what_is_left(pool) == "");
  const Footprint after = support::footprint_of(pool);
  INFO("before: " << before.text() << "\nafter:  " << after.text());
  CHECK(after.growth_since(before, growth_of_a_window(pool)) == "");
}

}  // namespace

TEST_CASE("ten thousand workers that are recycled one after another leave nothing") {
  ProcessPool pool{{.workers = 2, .shared_memory = std::size_t{64} << 20, .max_tasks_per_worker = 1}};
  const auto live = [&](std::uint64_t lives) {
    const std::uint64_t before = pool.stats().recycled;
    std::deque<Future<std::string>> open;
    std::uint64_t taken = 0;
    const auto take_one = [&] {
      const std::string text = open.front().get();
      open.pop_front();
      if (text != std::string(taken % 5000, 'x')) FAIL("task " << taken << " has a wrong value");
      ++taken;
    };
    for (std::uint64_t i = 0; i < lives; ++i) {
      open.push_back(pool.submit([](std::size_t size) { return std::string(size, 'x'); }, std::size_t{i % 5000}));
      if (open.size() > window) take_one();
    }
    while (!open.empty()) take_one();
    CHECK(eventually([&] { return pool.stats().recycled - before >= lives; }, std::chrono::seconds(20)));
  };
  many_lifetimes(pool, recycled_lifetimes(), live);
  CHECK(pool.stats().worker_deaths == 0);
  CHECK(pool.stats().failed == 0);
}

TEST_CASE("thousands of workers that die one after another leave nothing") {
  ProcessPool pool{{.workers = 2, .shared_memory = std::size_t{64} << 20}};
  const auto live = [&](std::uint64_t lives) {
    const std::uint64_t before = pool.stats().worker_deaths;
    std::deque<Future<void>> open;
    const auto take_one = [&] {
      CHECK_THROWS_AS(open.front().get(), WorkerDied);
      open.pop_front();
    };
    for (std::uint64_t i = 0; i < lives; ++i) {
      open.push_back(pool.submit([] { ::raise(SIGKILL); }));
      if (open.size() > window) take_one();
    }
    while (!open.empty()) take_one();
    CHECK(pool.stats().worker_deaths - before == lives);
  };
  many_lifetimes(pool, violent_lifetimes(), live);
}
