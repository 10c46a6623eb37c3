// SPDX-License-Identifier: BSL-1.0

#include <signal.h>

#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"

using procpool::ProcessPool;
using procpool::WorkerDied;
using support::SharedCount;

namespace {

int square(int x) { return x * x; }
std::string letter(int x) { return std::string(1, static_cast<char>('a' + x % 26)); }

/// Associative, but not commutative.
struct Append {
  std::string operator()(std::string all, const std::string& next) const { return std::move(all += next); }
};

using Counts = std::map<std::string, int>;

Counts merged(Counts into, const Counts& from) {
  for (const auto& [word, count] : from) into[word] += count;
  return into;
}

}  // namespace

TEST_CASE("a reduction combines the results of all items") {
  ProcessPool pool{2};
  CHECK(pool.map_reduce(square, std::plus<>(), 0L, std::views::iota(0, 1000)) == 332'833'500L);
  CHECK(pool.map_reduce(std::multiplies<>(), std::plus<>(), 0, std::vector{1, 2, 3}, std::list{10, 100, 1000, 5}) ==
        3210);
}

TEST_CASE("a reduction keeps the order of its items, whatever the size of the chunks") {
  ProcessPool pool{2};
  std::string expected = ">";
  for (int i = 0; i < 200; ++i) expected += letter(i);
  for (const std::size_t chunk : {0U, 1U, 3U, 199U, 1000U}) {
    CAPTURE(chunk);
    CHECK(pool.with({.chunk_size = chunk}).map_reduce(letter, Append(), std::string(">"), std::views::iota(0, 200)) ==
          expected);
  }
}

TEST_CASE("a reduction uses its initial value once") {
  ProcessPool pool{2};
  for (const std::size_t chunk : {1U, 10U, 1000U}) {
    CAPTURE(chunk);
    CHECK(pool.with({.chunk_size = chunk}).map_reduce(square, std::plus<>(), 1000L, std::vector(50, 1)) == 1050);
  }
}

TEST_CASE("a reduction of nothing is its initial value") {
  ProcessPool pool{2};
  CHECK(pool.map_reduce(letter, Append(), std::string("start"), std::vector<int>()) == "start");
}

TEST_CASE("the operation of a reduction may return a reference to what it was given") {
  ProcessPool pool{2};
  const auto text = [](int x) { return std::string(50, 'x') + letter(x); };
  const auto larger = [](const std::string& a, const std::string& b) -> const std::string& { return a < b ? b : a; };
  const auto append = [](std::string&& all, const std::string& next) -> std::string&& {
    return std::move(all += next);
  };
  for (const std::size_t chunk : {1U, 3U, 100U}) {
    CAPTURE(chunk);
    const auto terms = pool.with({.chunk_size = chunk});
    CHECK(terms.map_reduce(text, larger, std::string(), std::views::iota(0, 30)) == text(25));
    const std::string all = terms.map_reduce(text, append, std::string(), std::views::iota(0, 30));
    CHECK(all.size() == 30 * 51);
    CHECK(all.ends_with(text(29)));
  }
}

TEST_CASE("a reduction merges containers") {
  ProcessPool pool{2};
  const std::vector<std::string> lines = {"to be", "or not", "to be"};
  const auto count_words = [](const std::string& line) {
    Counts counts;
    for (const auto word : line | std::views::split(' ')) ++counts[std::string(word.begin(), word.end())];
    return counts;
  };
  CHECK(pool.with({.chunk_size = 2}).map_reduce(count_words, merged, Counts(), lines) ==
        Counts{{"to", 2}, {"be", 2}, {"or", 1}, {"not", 1}});
}

TEST_CASE("a reduction has the type of its initial value") {
  ProcessPool pool{2};
  const auto half = [](int x) { return x / 2.0; };
  const double sum = pool.map_reduce(half, std::plus<>(), 0.0, std::vector{1, 1, 1});
  CHECK(sum == 1.5);
  const long long large = pool.map_reduce(square, std::plus<>(), 0LL, std::vector(3, 40'000));
  CHECK(large == 4'800'000'000LL);
}

TEST_CASE("a reduction throws the first failure of its items, once all others are done") {
  const SharedCount done;
  ProcessPool pool{2};
  const auto refuse = [done = done.get()](int x) {
    if (x % 10 == 3) throw std::out_of_range("item " + std::to_string(x));
    ++*done;
    return x;
  };
  for (const std::size_t chunk : {1U, 4U, 100U}) {
    CAPTURE(chunk);
    *done = 0;
    CHECK_THROWS_WITH(pool.with({.chunk_size = chunk}).map_reduce(refuse, std::plus<>(), 0, std::views::iota(0, 40)),
                      "item 3");
    CHECK(done->load() == 36);
  }
}

TEST_CASE("an operation that fails fails the reduction") {
  ProcessPool pool{2};
  const auto no_more_than_ten = [](int a, int b) {
    if (a + b > 10) throw std::overflow_error("more than ten");
    return a + b;
  };
  CHECK(pool.map_reduce(square, no_more_than_ten, 0, std::vector{1, 2}) == 5);
  CHECK_THROWS_AS(pool.with({.chunk_size = 4}).map_reduce(square, no_more_than_ten, 0, std::vector{1, 2, 3, 1}),
                  std::overflow_error);
  CHECK_THROWS_AS(pool.with({.chunk_size = 1}).map_reduce(square, no_more_than_ten, 0, std::vector{3, 3}),
                  std::overflow_error);
  CHECK(pool.submit(square, 2).get() == 4);
}

TEST_CASE("an operation that fails where the results of chunks are combined does so once all items are done") {
  const SharedCount done;
  ProcessPool pool{2};
  const auto count = [done = done.get()](int x) { return ++*done, x; };
  const auto refuse = [](int, int) -> int { throw std::overflow_error("no sum"); };
  CHECK_THROWS_AS(pool.with({.chunk_size = 1}).map_reduce(count, refuse, 0, std::views::iota(0, 10'000)),
                  std::overflow_error);
  CHECK(done->load() == 10'000);
}

TEST_CASE("a death fails the reduction with the item that killed its worker") {
  ProcessPool pool{2};
  const auto crash_on_three = [](int x) {
    if (x == 3) ::raise(SIGKILL);
    return x;
  };
  for (const std::size_t chunk : {1U, 4U, 100U}) {
    CAPTURE(chunk);
    try {
      pool.with({.chunk_size = chunk}).map_reduce(crash_on_three, std::plus<>(), 0, std::views::iota(0, 10));
      FAIL("the reduction did not throw");
    } catch (const WorkerDied& death) {
      CHECK(death.position() == 3);
      CHECK(death.signal() == SIGKILL);
    }
  }
}
