// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using procpool::ProcessPool;
using procpool::Progress;
using procpool::SharedArray;
using support::numbers;
using support::OpensAtEnd;
using support::SharedCount;
using support::SharedGate;

namespace {

template <class State>
SharedArray<int> array_of_numbers(const ProcessPool<State>& pool, int size) {
  auto array = pool.template make_array<int>(size);
  std::iota(array.begin(), array.end(), 0);
  return array;
}

std::vector<int> contents(const SharedArray<int>& array) { return {array.begin(), array.end()}; }

std::size_t size_of_block(std::span<int> block) { return block.size(); }

int first_of(std::span<const int> block) { return block.front(); }

void add_one(std::span<int> block) {
  for (int& element : block) ++element;
}

/// Of blocks of ten: the third and the fifth throw.
int refuse_two(std::span<int> block) {
  const int first = block.front();
  add_one(block);
  if (first == 20 || first == 40) throw std::out_of_range("block of " + std::to_string(first));
  return first;
}

template <class T>
constexpr bool is_span_of_int = std::is_same_v<T, std::span<int>>;

}  // namespace

TEST_CASE("map_blocks gives a result for each block, in order, and each element to one block") {
  const ProcessPool pool{2};
  for (const int size : {1, 2, 15, 16, 17, 1000, 100'000}) {
    const auto array = array_of_numbers(pool, size);
    const auto firsts = pool.map_blocks(first_of, array);
    CHECK(std::is_sorted(firsts.begin(), firsts.end()));
    CHECK(firsts.front() == 0);
    const auto sizes = pool.map_blocks(size_of_block, array);
    CHECK(sizes.size() == firsts.size());
    CHECK(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}) == array.size());
    pool.map_blocks(add_one, array);
    std::vector<int> expected = numbers(size + 1);
    expected.erase(expected.begin());
    CHECK(contents(array) == expected);
  }
}

TEST_CASE("map_blocks of a function that returns nothing returns nothing") {
  const ProcessPool pool{1};
  const auto array = array_of_numbers(pool, 100);
  static_assert(std::is_void_v<decltype(pool.map_blocks(add_one, array))>);
  pool.map_blocks(add_one, array);
  CHECK(array[99] == 100);
}

TEST_CASE("map_blocks of an array without elements calls nothing") {
  const SharedCount calls;
  const ProcessPool pool{1};
  const auto call = [calls = calls.get()](std::span<int>) { return ++*calls; };
  CHECK(pool.map_blocks(call, pool.make_array<int>(0)).empty());
  CHECK(pool.map_blocks(call, SharedArray<int>()).empty());
  CHECK(pool.with({.chunk_size = 10}).map_blocks(call, SharedArray<int>()).empty());
  CHECK(*calls == 0);
}

TEST_CASE("a function that takes anything is given a span") {
  const ProcessPool pool{1};
  const auto array = array_of_numbers(pool, 100);
  const auto is_span = [](auto block) { return is_span_of_int<decltype(block)>; };
  const auto sum = []<class T>(std::span<T> block) { return std::accumulate(block.begin(), block.end(), T{}); };
  CHECK(pool.map_blocks(is_span, array).front());
  CHECK(pool.with({.chunk_size = 100}).map_blocks(sum, array) == std::vector<int>{4950});
}

TEST_CASE("by itself map_blocks lets no two tasks write to one cache line, and gives each worker several blocks") {
  const ProcessPool pool{2};
  const auto address = [](auto block) { return reinterpret_cast<std::uintptr_t>(block.data()); };
  const auto check = [&](const auto& array) {
    const auto addresses = pool.map_blocks(address, array);
    CHECK(addresses.size() > 4);
    for (const std::uintptr_t each : addresses) CHECK(each % 64 == 0);
    CHECK(pool.map_blocks(address, array) == addresses);
  };
  check(pool.make_array<char>(1000));
  check(pool.make_array<int>(1000));
  check(pool.make_array<std::array<double, 3>>(1000));
  check(pool.make_array<std::array<char, 7>>(1000));
}

TEST_CASE("a chosen chunk size is the number of elements in each block, and the last has what is left") {
  const ProcessPool pool{2};
  const auto array = array_of_numbers(pool, 100);
  CHECK(pool.with({.chunk_size = 30}).map_blocks(size_of_block, array) == std::vector<std::size_t>{30, 30, 30, 10});
  CHECK(pool.with({.chunk_size = 1}).map_blocks(first_of, array) == numbers(100));
  CHECK(pool.with({.chunk_size = 1000}).map_blocks(size_of_block, array) == std::vector<std::size_t>{100});
  CHECK(pool.with({.timeout = 1min, .chunk_size = 50}).map_blocks(size_of_block, array) ==
        std::vector<std::size_t>{50, 50});
}

TEST_CASE("map_blocks finishes all blocks, then throws the failure of the first that failed") {
  const ProcessPool pool{2};
  const auto array = array_of_numbers(pool, 95);
  CHECK_THROWS_WITH(pool.with({.chunk_size = 10}).map_blocks(refuse_two, array), "block of 20");
  CHECK_THROWS_AS(pool.with({.chunk_size = 10}).map_blocks(refuse_two, array_of_numbers(pool, 50)), std::out_of_range);
  std::vector<int> expected = numbers(96);
  expected.erase(expected.begin());
  CHECK(contents(array) == expected);
}

TEST_CASE("map_blocks passes the worker's state first") {
  const ProcessPool pool{2, [] { return 7; }};
  const auto array = array_of_numbers(pool, 1000);
  pool.map_blocks([](const int& state, std::span<int> block) { std::fill(block.begin(), block.end(), state); }, array);
  CHECK(contents(array) == std::vector<int>(1000, 7));
}

TEST_CASE("a function that is bound to another array may write to both") {
  const ProcessPool pool{2};
  const auto sources = array_of_numbers(pool, 1000);
  const auto targets = pool.make_array<int>(1000);
  const auto move_back = [](const SharedArray<int>& to, std::span<int> from) {
    for (int& element : from) {
      to[to.size() - 1 - static_cast<std::size_t>(element)] = element;
      element = -1;
    }
  };
  pool.map_blocks(procpool::partial(move_back, targets), sources);
  CHECK(contents(sources) == std::vector<int>(1000, -1));
  std::vector<int> expected = numbers(1000);
  std::reverse(expected.begin(), expected.end());
  CHECK(contents(targets) == expected);
}

TEST_CASE("each block of map_blocks has the terms of an item of a map") {
  const SharedCount tries;
  const ProcessPool pool{2};
  const auto array = array_of_numbers(pool, 100);
  const auto third_time = [tries = tries.get()](std::span<int> block) {
    if (block.front() == 50 && ++*tries < 3) throw std::runtime_error("not yet");
    return std::string(procpool::this_task::label());
  };
  std::vector<std::size_t> done;
  std::size_t total = 0;
  const auto labels = pool.with({.retries_on_exception = 2, .chunk_size = 10, .label = "blocks"})
                          .on_progress([&](const Progress& progress) {
                            done.push_back(progress.done);
                            total = progress.total;
                          })
                          .map_blocks(third_time, array);
  CHECK(labels == std::vector<std::string>(10, "blocks"));
  CHECK(*tries == 3);
  CHECK(total == 10);
  CHECK(done.back() == 10);

  const auto never = [](std::span<int> block) {
    while (block.front() == 50 && !procpool::this_task::stop_requested()) block[1] = -1;
  };
  CHECK_THROWS_AS(pool.with({.timeout = 50ms, .grace = 20s, .chunk_size = 10}).map_blocks(never, array),
                  procpool::TaskTimeout);
  CHECK(array[51] == -1);
}

TEST_CASE("an array lives until its last block has ended, though map_blocks was left early") {
  const SharedGate gate;
  ProcessPool pool{2};
  const OpensAtEnd opens(gate);
  std::optional<SharedArray<int>> array = array_of_numbers(pool, 20'000);
  const auto write_late = [gate = gate.get()](std::span<int> block) {
    if (block.front() == 0) return;
    gate->pass();
    std::fill(block.begin(), block.end(), -1);
  };
  const auto leave = [&](const Progress&) {
    CHECK(gate->is_reached_by(1));
    throw std::runtime_error("left");
  };
  CHECK_THROWS_WITH(pool.with({.chunk_size = 10'000}).on_progress(leave).map_blocks(write_late, *array), "left");
  array.reset();
  std::vector<SharedArray<int>> others;
  for (int i = 0; i < 10; ++i) others.push_back(pool.make_array<int>(20'000));
  gate->open();
  pool.wait_idle();
  for (const auto& other : others) CHECK(contents(other) == std::vector<int>(20'000, 0));
  others.clear();
  CHECK(support::what_is_left(pool).empty());
}
