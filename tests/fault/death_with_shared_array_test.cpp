// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using procpool::Future;
using procpool::partial;
using procpool::ProcessPool;
using procpool::SharedArray;
using procpool::WorkerDied;
using support::die;
using support::numbers;
using support::OpensAtEnd;
using support::SharedGate;
using support::Way;

namespace {

constexpr std::size_t array_size = 10'000;

bool all_are(std::span<const int> elements, int value) {
  return std::all_of(elements.begin(), elements.end(), [value](int element) { return element == value; });
}

/// Writes to half of the array, then dies.
void write_half_and_die(std::span<int> elements, Way way) {
  std::fill(elements.begin(), elements.begin() + array_size / 2, 1);
  die(way);
}

/// Nobody has written to them.
void check_untouched(const std::vector<SharedArray<int>>& arrays) {
  for (const auto& array : arrays) CHECK(all_are(array, 0));
}

std::vector<SharedArray<int>> many_arrays(const ProcessPool<>& pool) {
  std::vector<SharedArray<int>> arrays;
  for (int i = 0; i < 20; ++i) arrays.push_back(pool.make_array<int>(array_size));
  return arrays;
}

}  // namespace

TEST_CASE("a worker that dies while it has an array loses nothing of it") {
  const ProcessPool pool{2};
  for (const Way way : support::all_ways) {
    const auto array = pool.make_array<int>(array_size);
    CHECK_THROWS_AS(pool.submit(write_half_and_die, array, way).get(), WorkerDied);
    CHECK(all_are(array.span().first(array_size / 2), 1));
    CHECK(all_are(array.span().last(array_size / 2), 0));
    pool.run_on_each_worker([](SharedArray<int> elements) { elements.back() = 2; }, array);
    CHECK(array.back() == 2);
  }
  CHECK(support::what_is_left(pool).empty());
}

TEST_CASE("a task that is tried again after a death has its array, with what was written, though nobody else has it") {
  const SharedGate gate;
  const ProcessPool pool{2};
  const OpensAtEnd opens(gate);
  const auto die_at_first = [gate = gate.get()](SharedArray<int> elements) {
    if (elements[0] == 0) write_half_and_die(elements, Way::kill);
    gate->pass();
    return all_are(elements.span().first(array_size / 2), 1) && all_are(elements.span().last(array_size / 2), 0);
  };
  Future<bool> future = pool.with({.retries = 1}).submit(die_at_first, pool.make_array<int>(array_size));
  REQUIRE(gate->is_reached_by(1));
  const auto others = many_arrays(pool);
  for (const auto& other : others) std::fill(other.begin(), other.end(), 3);
  gate->open();
  CHECK(future.get());
}

TEST_CASE("the array of a task whose deadline has passed is kept until its worker is dead") {
  const ProcessPool pool{1};
  const auto write_for_ever = [](SharedArray<int> elements) {
    for (;;) {
      for (int& element : elements) *const_cast<volatile int*>(&element) = 1;
    }
  };
  auto future = pool.with({.timeout = 20ms, .grace = 100ms}).submit(write_for_ever, pool.make_array<int>(array_size));
  CHECK_THROWS_AS(future.get(), procpool::TaskTimeout);
  auto others = many_arrays(pool);  // while it still writes
  CHECK(support::eventually([&] { return pool.stats().worker_deaths == 1; }, 20s));
  check_untouched(others);
  others.clear();
  CHECK(support::what_is_left(pool).empty());
}

TEST_CASE("the array of a task that is killed is kept until its worker is dead") {
  const SharedGate gate;
  const ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  const auto write_for_ever = [gate = gate.get()](SharedArray<int> elements) {
    gate->pass();
    for (;;) {
      for (int& element : elements) *const_cast<volatile int*>(&element) = 1;
    }
  };
  auto future = pool.submit(write_for_ever, pool.make_array<int>(array_size));
  REQUIRE(gate->is_reached_by(1));
  gate->open();
  future.kill();
  CHECK_THROWS_AS(future.get(), procpool::Cancelled);
  check_untouched(many_arrays(pool));
}

TEST_CASE("a map whose function is bound to an array has all that its items wrote, but for those that died") {
  const ProcessPool pool{2};
  const auto array = pool.make_array<int>(1000);
  const auto write = [](SharedArray<int> elements, int i) {
    if (i % 100 == 50) die(Way::segfault);
    elements[static_cast<std::size_t>(i)] = i;
    return i;
  };
  const auto outcomes = pool.map_outcomes(partial(write, array), numbers(1000));
  for (int i = 0; i < 1000; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const bool dies = i % 100 == 50;
    CHECK(outcomes[at].has_value() == !dies);
    CHECK(array[at] == (dies ? 0 : i));
  }
}

TEST_CASE("map_blocks throws the death of a block with its position, when all others are finished") {
  const ProcessPool pool{2};
  const auto array = pool.make_array<int>(1000);
  const auto blocks = pool.with({.chunk_size = 100});
  const auto die_in_third = [](std::span<int> block) {
    if (std::exchange(block[0], 1) == 2) die(Way::kill);
    std::fill(block.begin(), block.end(), 1);
  };
  array[200] = 2;
  try {
    blocks.map_blocks(die_in_third, array);
    FAIL("nothing was thrown");
  } catch (const WorkerDied& death) {
    CHECK(death.position() == 2);
  }
  CHECK(all_are(array.span().first(201), 1));
  CHECK(all_are(array.span().subspan(201, 99), 0));
  CHECK(all_are(array.span().last(700), 1));

  array[200] = 2;
  pool.with({.retries = 1, .chunk_size = 100}).map_blocks(die_in_third, array);
  CHECK(all_are(array, 1));
  CHECK(pool.stats().worker_deaths == 2);
}

TEST_CASE("arrays that are dropped while workers are killed at random come back whole") {
  const ProcessPool pool{2};
  const auto use = [](SharedArray<int> elements, int i) {
    for (std::size_t at = 0; at < elements.size(); ++at) {
      ++elements[at];
      if (static_cast<int>(at % 977) == i) die(Way::kill);
    }
  };
  const int rounds = support::is_full_run() ? 2'000 : 100;
  std::vector<Future<void>> futures;
  for (int i = 0; i < rounds; ++i) {
    auto array = pool.make_array<int>(array_size);
    CHECK(all_are(array, 0));
    if (i % 2 == 0) pool.submit(use, array, i % 5 == 0 ? i % 977 : -1);
    else futures.push_back(pool.with({.retries = 1}).submit(use, array, i % 7 == 0 ? i % 977 : -1));
  }
  futures.clear();
  CHECK(support::what_is_left(pool).empty());
}
