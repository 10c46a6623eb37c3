// SPDX-License-Identifier: BSL-1.0

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/detail/os/read_file.hpp>
#include <procpool/procpool.hpp>

#include "../support/address_space.hpp"
#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/footprint.hpp"
#include "../support/in_child.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::Future;
using procpool::partial;
using procpool::ProcessPool;
using procpool::SharedArray;
using procpool::UsageError;
using support::argument_bytes;
using support::Gate;
using support::mebi;
using support::numbers;
using support::OpensAtEnd;
using support::SharedGate;

namespace {

struct Particle {
  double mass = 1.5;
  int charge = -1;
};

/// An array among other things that are sent.
struct Job {
  std::string name = {};
  SharedArray<int> numbers = {};
};

/// A function object that has an array.
struct WriteTo {
  SharedArray<int> array;
  void operator()(int i) const { array[static_cast<std::size_t>(i)] = i; }
};

/// What a task did not like of an array.
struct BadElement : std::runtime_error {
  BadElement() : BadElement({}, 0) {}
  BadElement(SharedArray<int> sent, std::size_t at)
      : std::runtime_error("a bad element"), array(std::move(sent)), position(at) {}

  template <class Archive>
  void serialize(Archive& archive) {
    archive(array, position);
  }

  SharedArray<int> array;
  std::size_t position;
};

bool all_are(std::span<const int> elements, int value) {
  return std::all_of(elements.begin(), elements.end(), [value](int element) { return element == value; });
}

void set_all(std::span<int> elements, int value) { std::fill(elements.begin(), elements.end(), value); }

SharedArray<int> array_of(const ProcessPool<>& pool, std::size_t size, int value) {
  auto array = pool.make_array<int>(size);
  set_all(array, value);
  return array;
}

/// They are of zeros.
bool all_new_arrays_lie_elsewhere(const ProcessPool<>& pool, std::size_t size, const int* where) {
  std::vector<SharedArray<int>> others;
  for (int i = 0; i < 100; ++i) {
    others.push_back(pool.make_array<int>(size));
    if (others.back().data() == where) return false;
  }
  return true;
}

/// Those of pools of this process.
bool a_mapping_is_left() {
  return procpool::detail::read_file("/proc/self/maps").find("memfd:procpool") != std::string::npos;
}

}  // namespace

TEST_CASE("the elements of a new array are value-initialized, also where an older one has lain") {
  const ProcessPool pool{1};
  const int* before = nullptr;
  for (int i = 0; i < 3; ++i) {
    auto array = pool.make_array<int>(10'000);
    CHECK(array.size() == 10'000);
    CHECK(all_are(array, 0));
    CHECK((before == nullptr || before == array.data()));
    set_all(array, 7);
    before = array.data();
  }
  const auto particles = pool.make_array<Particle>(100);
  for (const Particle& particle : particles) CHECK((particle.mass == 1.5 && particle.charge == -1));
}

TEST_CASE("a task reads and writes an array in place, in whatever way its parameter names it") {
  const ProcessPool pool{2};
  const auto array = pool.make_array<int>(6);
  pool.submit([](SharedArray<int> elements) { elements[0] = 1; }, array).get();
  pool.submit([](SharedArray<int>& elements) { elements[1] = 2; }, array).get();
  pool.submit([](const SharedArray<int>& elements) { elements.at(2) = 3; }, array).get();
  pool.submit([](std::span<int> elements) { elements[3] = 4; }, array).get();
  pool.submit([](auto elements) { *(elements.begin() + 4) = 5; }, array).get();
  CHECK(std::vector<int>(array.begin(), array.end()) == std::vector<int>{1, 2, 3, 4, 5, 0});
  const auto sum = [](std::span<const int> elements) { return std::accumulate(elements.begin(), elements.end(), 0); };
  CHECK(pool.submit(sum, array).get() == 15);
  CHECK(pool.submit(sum, std::as_const(array).span()).get() == 15);  // a copy of the elements, as any span
}

TEST_CASE("an array is passed behind the worker's state") {
  const ProcessPool pool{1, [] { return 20; }};
  const auto array = pool.make_array<int>(2);
  pool.submit([](int& state, SharedArray<int>& elements) { elements[0] = ++state; }, array).get();
  pool.submit([](int& state, std::span<int> elements) { elements[1] = ++state; }, array).get();
  CHECK(array[0] == 21);
  CHECK(array[1] == 22);
}

TEST_CASE("all workers have an array that was made long after them") {
  const ProcessPool pool{3};
  CHECK(pool.run_on_each_worker(support::pid_of_worker).size() == 3);
  const auto pids = pool.make_array<::pid_t>(3);
  pool.run_on_each_worker(
      [](SharedArray<::pid_t> all) { all[static_cast<std::size_t>(procpool::this_worker::index())] = ::getpid(); },
      pids);
  const std::vector<::pid_t> expected = support::pids_of(pool);
  CHECK(std::vector<::pid_t>(pids.begin(), pids.end()) == expected);
}

TEST_CASE("what is sent of an array does not grow with it") {
  const SharedGate gate;
  const ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  const auto bytes_for = [&](std::size_t size) {
    const std::size_t before = argument_bytes(pool);
    auto future = pool.submit([](SharedArray<char> array) { return array.size(); }, pool.make_array<char>(size));
    const std::size_t bytes = argument_bytes(pool) - before;
    CHECK(future.cancel());
    return bytes;
  };
  const std::size_t bytes = bytes_for(1);
  CHECK(bytes > 0);
  CHECK(bytes_for(16 * mebi) == bytes);
}

TEST_CASE("an array that only a waiting task has is kept for it") {
  const SharedGate gate;
  const ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  constexpr std::size_t size = 10'000;
  std::vector<const int*> addresses;
  const auto array = [&] {
    auto made = array_of(pool, size, 7);
    addresses.push_back(made.data());
    return made;
  };
  const auto is_whole = [](SharedArray<int> elements) { return all_are(elements, 7); };
  std::vector<Future<bool>> futures;
  futures.push_back(pool.submit(is_whole, array()));
  futures.push_back(pool.submit([](const Job& job) { return all_are(job.numbers, 7); }, Job{"job", array()}));
  futures.push_back(pool.submit([](const std::vector<SharedArray<int>>& all) { return all_are(all.at(1), 7); },
                                std::vector{array(), array()}));
  futures.push_back(pool.submit(partial(is_whole, array())));
  futures.push_back(*pool.with({.retries = 1, .label = "named"}).try_submit(is_whole, array()));
  auto items = pool.map_async(is_whole, std::vector{array(), array()});
  auto bound =
      pool.map_async(partial([](std::span<int> elements, int) { return all_are(elements, 7); }, array()), numbers(10));
  auto lazily =
      pool.imap(partial([](std::span<int> elements, int) { return all_are(elements, 7); }, array()), numbers(10));
  for (const int* address : addresses) CHECK(all_new_arrays_lie_elsewhere(pool, size, address));
  gate->open();
  for (auto& future : futures) CHECK(future.get());
  CHECK(items.get() == std::vector<bool>(2, true));
  CHECK(bound.get() == std::vector<bool>(10, true));
  for (const bool is_right : lazily) CHECK(is_right);
}

TEST_CASE("an array may be sent inside of a function object, and bound to a function") {
  const ProcessPool pool{2};
  const auto array = pool.make_array<int>(100);
  pool.for_each(WriteTo{array}, numbers(100));
  CHECK(std::vector<int>(array.begin(), array.end()) == numbers(100));
  const auto add = partial([](const SharedArray<int>& all, int i) { all[static_cast<std::size_t>(i)] += i; }, array);
  pool.for_each(add, numbers(100));
  CHECK(array[99] == 198);
  const auto doubled = [](std::span<const int> all, int i) { return 2 * all[static_cast<std::size_t>(i)]; };
  CHECK(pool.map_reduce(partial(doubled, array), std::plus<>(), 0, numbers(100)) == 2 * 2 * 4950);
}

TEST_CASE("an array is a range of its elements") {
  const ProcessPool pool{2};
  const auto array = pool.make_array<int>(100);
  std::iota(array.begin(), array.end(), 0);
  std::vector<int> twice = numbers(100);
  for (int& number : twice) number *= 2;
  CHECK(pool.map(support::twice, array) == twice);
  CHECK(array.front() == 0);
  CHECK(array.back() == 99);
  CHECK_THROWS_AS(array.at(100), std::out_of_range);
}

TEST_CASE("an array that was moved from has no elements, here and in a task") {
  const ProcessPool pool{1};
  auto array = array_of(pool, 1000, 7);
  const int* const where = array.data();
  auto taken = std::move(array);
  // NOLINTNEXTLINE(bugprone-use-after-move): what is left
  CHECK(array.empty());
  CHECK(array.data() == nullptr);
  CHECK(pool.submit([](SharedArray<int> elements) { return elements.size(); }, array).get() == 0);
  array = std::move(taken);
  CHECK(array.data() == where);
  auto& same = array;
  array = std::move(same);
  CHECK(all_are(array, 7));
  CHECK(pool.submit(
                [](SharedArray<int> sent) {
                  const auto moved = std::move(sent);
                  return sent.empty() && moved.size() == 1000;  // NOLINT(bugprone-use-after-move): what is left
                },
                array)
            .get());
}

TEST_CASE("many tasks count in the atomic elements of an array") {
  const ProcessPool pool{2};
  const auto counts = pool.make_array<std::atomic<int>>(2);
  const auto count = [](SharedArray<std::atomic<int>> all, int i) { ++all[static_cast<std::size_t>(i % 2)]; };
  pool.for_each(partial(count, counts), numbers(10'000));
  CHECK(counts[0] == 5'000);
  CHECK(counts[1] == 5'000);
}

TEST_CASE("an array without elements may be made and sent") {
  const ProcessPool pool{1};
  const auto size = [](SharedArray<double> array) { return array.size() + (array.empty() ? 100 : 0); };
  CHECK(pool.make_array<double>(0).empty());
  CHECK(pool.submit(size, pool.make_array<double>(0)).get() == 100);
  CHECK(pool.submit(size, SharedArray<double>()).get() == 100);
  CHECK(pool.submit([] { return SharedArray<double>(); }).get().empty());
}

TEST_CASE("a task that returns an array that it was sent gives the same array back") {
  const ProcessPool pool{2};
  const auto filled = [](SharedArray<int> array, int value) {
    set_all(array, value);
    return array;
  };
  auto array = pool.submit(filled, pool.make_array<int>(10'000), 3).get();
  CHECK(array.size() == 10'000);
  CHECK(all_are(array, 3));
  CHECK(all_new_arrays_lie_elsewhere(pool, 10'000, array.data()));
  CHECK(pool.submit(filled, array, 4).get().data() == array.data());

  const std::vector arrays{array_of(pool, 10, 0), array, array_of(pool, 20, 0)};
  const auto same = pool.map(partial(
                                 [](int value, SharedArray<int> each) {
                                   return Job{std::to_string(value), each};
                                 },
                                 5),
                             arrays);
  for (std::size_t i = 0; i < arrays.size(); ++i) CHECK(same.at(i).numbers.data() == arrays[i].data());
  CHECK(same.at(2).numbers.size() == 20);
  const auto shared = pool.submit(filled, array, 6).share();
  CHECK(shared.get().data() == array.data());
  CHECK(all_are(array, 6));
}

TEST_CASE("an exception arrives with the array of its task") {
  procpool::register_exception<BadElement>();
  const ProcessPool pool{1};
  const auto fail = [](const SharedArray<int>& sent, std::size_t at) {
    sent[at] = 5;
    throw BadElement(sent, at);
  };
  const auto thrown_by = [](auto call) {
    try {
      call();
    } catch (const BadElement& error) {
      return error;
    }
    return BadElement();
  };
  const BadElement lonely = thrown_by([&] { pool.submit(fail, array_of(pool, 10'000, 4), std::size_t{3}).get(); });
  CHECK(lonely.array.size() == 10'000);
  CHECK(all_new_arrays_lie_elsewhere(pool, 10'000, lonely.array.data()));
  CHECK(lonely.array[2] + lonely.array[3] == 9);

  const auto array = array_of(pool, 10, 4);
  const BadElement of_item = thrown_by([&] { pool.for_each(partial(fail, array), std::vector<std::size_t>{7, 8}); });
  CHECK(of_item.array.data() == array.data());
  CHECK(of_item.position == 7);
}

TEST_CASE("a task that returns an array of an earlier task fails, and says why") {
  const ProcessPool pool{1};
  const auto swapped = [](SharedArray<int> array) {
    static SharedArray<int> before;
    std::swap(before, array);
    return array;
  };
  const auto array = pool.make_array<int>(10);
  const auto another = pool.make_array<int>(10);
  CHECK(pool.submit(swapped, array).get().empty());
  CHECK_THROWS_WITH(pool.submit(swapped, another).get(),
                    Catch::Matchers::ContainsSubstring("no SharedArray but those that it was sent"));
  CHECK_THROWS_AS(pool.submit(swapped, array).get(), procpool::SerializationError);
  CHECK(pool.submit(swapped, array).get().data() == array.data());
}

TEST_CASE("an array of another pool is refused where it is sent") {
  const ProcessPool maker{1};
  const ProcessPool pool{1};
  const auto array = maker.make_array<int>(10);
  const auto size = [](SharedArray<int> elements) { return elements.size(); };
  CHECK_THROWS_WITH(pool.submit(size, array), Catch::Matchers::ContainsSubstring("make_array()"));
  CHECK_THROWS_AS(pool.submit(size, array), UsageError);
  CHECK_THROWS_AS(pool.try_submit(partial(size, array)), UsageError);
  CHECK_THROWS_AS(pool.map(size, std::vector{array}), UsageError);
  CHECK_THROWS_AS(pool.for_each(WriteTo{array}, numbers(10)), UsageError);
  CHECK_THROWS_AS(pool.map_async(size, std::vector{array}), UsageError);
  CHECK_THROWS_AS(pool.run_on_each_worker(size, array), UsageError);
  CHECK_THROWS_AS(pool.map_blocks([](std::span<int> block) { return block.size(); }, array), UsageError);
  CHECK(maker.submit(size, array).get() == 10);
  CHECK(support::what_is_left(pool).empty());
}

TEST_CASE("an array outlives its pool, and then takes the pool's memory with it") {
  REQUIRE_FALSE(a_mapping_is_left());
  std::optional<SharedArray<int>> array;
  {
    const ProcessPool pool{1};
    array = pool.submit(
                    [](SharedArray<int> elements) {
                      set_all(elements, 5);
                      return elements;
                    },
                    pool.make_array<int>(100'000))
                .get();
  }
  CHECK(all_are(*array, 5));
  SharedArray<int> another = *array;
  array.reset();
  CHECK(all_are(another, 5));
  CHECK(a_mapping_is_left());
  another = {};
  CHECK_FALSE(a_mapping_is_left());
}

TEST_CASE("ten thousand arrays that are made, sent and dropped leave nothing") {
  ProcessPool pool{1};
  const auto use = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      auto array = pool.make_array<int>(i % 8 == 0 ? 100'000 : 500);
      auto future = pool.submit([](SharedArray<int> elements) { elements.back() = 1; }, array);
      if (i % 2 == 0) array = {};
      if (i % 4 == 0) future.get();
    }
    pool.wait_idle();
  };
  use(1000);
  const support::Footprint before = support::footprint_of(pool);
  use(support::is_full_run() ? 100'000 : 10'000);
  const std::size_t heap = support::is_sanitized ? 256 * mebi : mebi / 4;  // A sanitizer gives nothing back at once.
  const support::Footprint after = support::footprint_of(pool);
  CHECK(after.growth_since(before, {.private_memory = heap, .shared_memory = 2 * mebi}).empty());
  CHECK(support::what_is_left(pool).empty());
}

TEST_CASE("threads that make, send and drop arrays at the same time leave nothing") {
  const ProcessPool pool{2};
  const SharedArray<int> common = array_of(pool, 1000, 1);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        auto own =
            pool.submit([](SharedArray<int> read,
                           SharedArray<int> write) { set_all(write, std::accumulate(read.begin(), read.end(), 0)); },
                        common, pool.make_array<int>(100));
        auto whole = pool.submit([](SharedArray<int> elements) { return all_are(elements, 7); },
                                 array_of(pool, 100 + static_cast<std::size_t>(t), 7));
        if (i % 3 == 0) own.get();
        wrong += whole.get() ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(all_are(common, 1));
}

TEST_CASE("to make an array waits while tasks that nobody waits for hold the memory") {
  ProcessPool pool{{.workers = 1, .shared_memory = 64 * mebi}};
  const std::size_t memory = pool.sender().core->exchange().data.region().size();
  const std::size_t size = 2 * mebi;
  const auto counts = pool.make_array<std::atomic<int>>(1);
  const int rounds = static_cast<int>(4 * memory / size);
  for (int i = 0; i < rounds; ++i) {
    pool.submit([](SharedArray<std::atomic<int>> all, std::span<char> bytes) { all[0] += bytes.back() + 1; }, counts,
                pool.make_array<char>(size));
  }
  pool.wait_idle();
  CHECK(counts[0] == rounds);
}

TEST_CASE("make_array refuses what cannot be, and names the reason") {
  const SharedGate gate;
  ProcessPool pool{{.workers = 1, .shared_memory = 64 * mebi}};
  const OpensAtEnd opens(gate);
  // Nobody waits for it, and it does not end: its array does not make room for what is too large.
  pool.submit([gate = gate.get()](const SharedArray<char>&) { gate->pass(); }, pool.make_array<char>(1000));
  CHECK_THROWS_AS(pool.make_array<int>(-1), UsageError);
  for (const std::size_t bytes_from_most : std::vector<std::size_t>{0, 1, 70'000}) {
    const std::size_t bytes = SIZE_MAX - bytes_from_most;
    CHECK_THROWS_WITH(pool.make_array<char>(bytes),
                      Catch::Matchers::ContainsSubstring("needs " + std::to_string(bytes) + " bytes"));
  }
  const std::string all = std::to_string(pool.sender().core->exchange().data.region().size());
  CHECK_THROWS_WITH(pool.make_array<int>(SIZE_MAX), Catch::Matchers::ContainsSubstring("for arrays holds " + all));
  CHECK_THROWS_WITH(pool.make_array<int>(100 * mebi),
                    Catch::Matchers::ContainsSubstring("a SharedArray needs 419430400"));
  {
    const auto kept = pool.make_array<char>(8 * mebi);
    CHECK_THROWS_AS(pool.make_array<char>(8 * mebi), procpool::SharedMemoryExhausted);
  }
  CHECK(pool.make_array<char>(8 * mebi).size() == 8 * mebi);
  const auto is_refused = [&] {
    try {
      static_cast<void>(pool.make_array<int>(1));
    } catch (const UsageError&) {
      return true;
    }
    return false;
  };
  CHECK(true_in_child(is_refused));
  pool.close();
  CHECK_THROWS_AS(pool.make_array<int>(1), procpool::PoolClosed);
}

TEST_CASE("the end of an array in a forked process does nothing") {
  const ProcessPool pool{1};
  auto array = array_of(pool, 10'000, 3);
  const procpool::detail::BlockAllocator& memory = pool.sender().core->exchange().data;
  CHECK(true_in_child([&] {
    const std::size_t before = memory.was_in_use();
    array = {};
    return memory.was_in_use() == before;
  }));
  CHECK(all_new_arrays_lie_elsewhere(pool, 10'000, array.data()));
  CHECK(pool.submit([](SharedArray<int> elements) { return all_are(elements, 3); }, array).get());
}
