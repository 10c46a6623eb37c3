// SPDX-License-Identifier: BSL-1.0

#include <signal.h>

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
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/in_child.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::Borrowed;
using procpool::Future;
using procpool::Outcome;
using procpool::ProcessPool;
using procpool::SharedMemoryExhausted;
using procpool::UsageError;
using support::argument_bytes;
using support::mebi;

namespace {

struct Matrix {
  double cells[8][8] = {};
};

struct alignas(64) Line {
  std::int32_t words[16] = {};
};

std::vector<std::int32_t> counted(std::size_t size) {
  std::vector<std::int32_t> numbers(size);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}
std::string letters(std::size_t size) { return std::string(size, 'x'); }

/// True if they lie in the memory into which the pool's workers write results.
template <class T>
bool lie_in_shared_memory(const ProcessPool<>& pool, const T* first, std::size_t count) {
  return pool.sender().core->exchange().outbox.holds(first, count * sizeof(T));
}

std::size_t slots_in_use(const ProcessPool<>& pool) {
  const auto& slots = pool.sender().core->exchange().slots;
  std::size_t in_use = 0;
  for (procpool::detail::Handle each = 0; each < slots.was_used(); ++each) in_use += slots.was_in_use(each) ? 1 : 0;
  return in_use;
}

static_assert(std::is_nothrow_move_constructible_v<Borrowed<std::string>>);
static_assert(!std::is_copy_constructible_v<Borrowed<int>> && !std::is_copy_assignable_v<Borrowed<int>>);
static_assert(std::ranges::contiguous_range<Borrowed<std::vector<int>>> && !std::ranges::range<Borrowed<Matrix>>);

}  // namespace

TEST_CASE("a borrowed result is read where the worker wrote it") {
  ProcessPool pool{2};
  {
    const auto numbers = pool.submit(counted, std::size_t{1'000'000}).borrow();
    const std::span<const std::int32_t> view = *numbers;
    CHECK(lie_in_shared_memory(pool, view.data(), view.size()));
    CHECK(std::ranges::equal(view, counted(1'000'000)));
    CHECK(numbers.data() == view.data());
    CHECK(numbers.size() == 1'000'000);
    CHECK(numbers->back() == 999'999);
    std::int64_t sum = 0;
    for (const std::int32_t number : numbers) sum += number;
    CHECK(sum == std::int64_t{999'999} * 500'000);
  }
  {
    const auto text = pool.submit(letters, std::size_t{300}).borrow();
    const std::string_view view = *text;
    CHECK(lie_in_shared_memory(pool, view.data(), view.size()));
    CHECK(view == letters(300));
    CHECK(text->find('y') == std::string_view::npos);
  }
  {
    const auto array = pool.submit([] { return std::array<int, 100>{1, 2, 3}; }).borrow();
    const std::array<int, 100>& value = *array;
    CHECK(lie_in_shared_memory(pool, &value, 1));
    CHECK(value[2] == 3);
    CHECK(array.size() == 100);
    CHECK(std::accumulate(array.begin(), array.end(), 0) == 6);
  }
  {
    const auto matrix = pool.submit([] { return Matrix{{{0.5}, {0, 1.5}}}; }).borrow();
    CHECK(lie_in_shared_memory(pool, &*matrix, 1));
    CHECK(matrix->cells[1][1] == 1.5);
  }
  {
    const auto nothing = pool.submit(counted, std::size_t{0}).borrow();
    CHECK(nothing.valid());
    CHECK(nothing->empty());
    CHECK(nothing.begin() == nothing.end());
  }
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a small result, and one that was made in this process, is borrowed as any other") {
  ProcessPool pool{1};
  const auto number = pool.submit(support::twice, 21).borrow();
  CHECK(*number == 42);
  const auto continued = pool.submit(counted, std::size_t{10})
                             .then([](std::vector<std::int32_t> numbers) {
                               numbers.push_back(7);
                               return numbers;
                             })
                             .borrow();
  CHECK(continued.size() == 11);
  CHECK(continued->back() == 7);
  const auto mapped = pool.map_async(support::twice, support::numbers(1000)).borrow();
  CHECK(std::accumulate(mapped.begin(), mapped.end(), 0) == 999'000);
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("the elements of a borrowed result are aligned as they need") {
  ProcessPool pool{1};
  for (const std::size_t size : {std::size_t{1}, std::size_t{3}, std::size_t{20'000}}) {
    const auto lines = pool.submit([size] { return std::vector<Line>(size, Line{{1, 2}}); }).borrow();
    CHECK(reinterpret_cast<std::uintptr_t>(lines.data()) % alignof(Line) == 0);
    CHECK(lines->back().words[1] == 2);
    const auto doubles = pool.submit([size] { return std::vector<double>(size, 0.5); }).borrow();
    CHECK(reinterpret_cast<std::uintptr_t>(doubles.data()) % alignof(double) == 0);
    CHECK(doubles->back() == 0.5);
  }
  const auto line = pool.submit([] { return Line{{5}}; }).borrow();
  CHECK(reinterpret_cast<std::uintptr_t>(&*line) % alignof(Line) == 0);
  CHECK(line->words[0] == 5);
}

TEST_CASE("what is borrowed keeps neither the slot of its task nor the arguments") {
  ProcessPool pool{1};
  const auto reversed = [](std::string_view text) { return std::string(text.rbegin(), text.rend()); };
  auto borrowed = pool.submit(reversed, letters(mebi) + "y").borrow();
  CHECK(borrowed->front() == 'y');
  CHECK(slots_in_use(pool) == 0);
  CHECK(argument_bytes(pool) == 0);
  CHECK(support::holds_results(pool));
  borrowed = {};
  CHECK_FALSE(borrowed.valid());
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a borrowed result outlives its future and its pool") {
  std::optional<ProcessPool<>> pool(std::in_place, 1);
  auto large = pool->submit(counted, std::size_t{1'000'000}).borrow();
  const auto small = pool->submit(letters, std::size_t{100}).borrow();
  pool.reset();
  CHECK(std::ranges::equal(large, counted(1'000'000)));
  CHECK(*small == letters(100));
}

TEST_CASE("borrow() throws what get() throws, and takes the result as get() does") {
  ProcessPool pool{1};
  auto failed = pool.submit([]() -> std::string { throw std::out_of_range("no such letter"); });
  CHECK_THROWS_AS(failed.borrow(), std::out_of_range);
  CHECK_FALSE(failed.valid());
  auto died = pool.submit([] { return support::kill_worker(), letters(100); });
  CHECK_THROWS_AS(died.borrow(), procpool::WorkerDied);
  auto thrown_on =
      pool.submit([]() -> int { throw std::domain_error("negative"); }).then([](int) { return letters(9); });
  CHECK_THROWS_AS(thrown_on.borrow(), std::domain_error);
  auto taken = pool.submit(letters, std::size_t{100});
  CHECK(taken.borrow().size() == 100);
  CHECK_FALSE(taken.valid());
  CHECK_THROWS_WITH(taken.borrow(), Catch::Matchers::ContainsSubstring("borrow()"));
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("what is borrowed is moved, and is given back once") {
  ProcessPool pool{1};
  auto first = pool.submit(letters, std::size_t{100}).borrow();
  const std::string_view view = *first;
  Borrowed<std::string> second = std::move(first);
  CHECK_FALSE(first.valid());  // NOLINT(bugprone-use-after-move): what is left is looked at
  CHECK_THROWS_AS(*first, UsageError);
  CHECK_THROWS_AS(first.size(), UsageError);
  CHECK(second->data() == view.data());
  CHECK(view == letters(100));
  second = pool.submit(letters, std::size_t{mebi}).borrow();
  CHECK(second.size() == mebi);
  Borrowed<std::string>& same = second;
  second = std::move(same);
  CHECK(second.size() == mebi);
  CHECK_THROWS_AS(Borrowed<int>().operator->(), UsageError);
  second = {};
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a result that a callback reads too is borrowed beside it, whichever goes first") {
  ProcessPool pool{1};
  for (const bool callback_is_last : {false, true}) {
    support::Gate callback_gate;
    std::atomic<std::size_t> told{0};
    Future<std::string> future = pool.submit(letters, mebi);
    future.on_ready([&](const Outcome<std::string>& outcome) {
      if (callback_is_last) callback_gate.pass();
      told = outcome->size();
    });
    auto borrowed = future.borrow();
    if (!callback_is_last) REQUIRE(support::eventually([&] { return told == mebi; }, std::chrono::seconds(20)));
    CHECK(*borrowed == letters(mebi));
    borrowed = {};
    callback_gate.open();
    REQUIRE(support::eventually([&] { return told == mebi; }, std::chrono::seconds(20)));
    pool.wait_idle();
    CHECK(support::what_is_left(pool) == "");
  }
}

TEST_CASE("a forked process is refused what was borrowed before, and gives nothing back") {
  ProcessPool pool{1};
  auto borrowed = std::make_optional(pool.submit(letters, std::size_t{mebi}).borrow());
  CHECK(true_in_child([&] {
    bool is_refused = false;
    try {
      static_cast<void>(borrowed->data());
    } catch (const UsageError&) {
      is_refused = true;
    }
    borrowed.reset();
    return is_refused;
  }));
  CHECK(**borrowed == letters(mebi));
}

TEST_CASE("results for which borrowed ones leave no memory fail, until these are given back") {
  ProcessPool pool{{.workers = 1, .shared_memory = std::size_t{32} << 20}};
  std::vector<Borrowed<std::string>> borrowed;
  const auto borrow_all = [&] {
    for (;;) borrowed.push_back(pool.submit(letters, std::size_t{mebi}).borrow());
  };
  CHECK_THROWS_AS(borrow_all(), SharedMemoryExhausted);
  const std::size_t most = borrowed.size();
  CHECK(most > 2);
  for (const auto& each : borrowed) CHECK(each->find_first_not_of('x') == std::string_view::npos);
  borrowed.clear();
  CHECK_THROWS_AS(borrow_all(), SharedMemoryExhausted);
  CHECK(borrowed.size() == most);
  borrowed.clear();
  CHECK(support::what_is_left(pool) == "");
}
