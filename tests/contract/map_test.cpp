// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <ranges>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::ProcessPool;
using support::numbers;
using support::SharedCount;
using support::SharedGate;
using support::twice;

namespace {

std::size_t length(const std::string& text) { return text.size(); }

std::vector<int> all_twice(std::vector<int> items) {
  for (int& item : items) item *= 2;
  return items;
}

/// The numbers from 1 on. It reads the first one when it is begun, and knows how many it has not read.
class OnceOnly {
 public:
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = int;

    explicit Iterator(OnceOnly& range) : range_(&range) {}
    int operator*() const { return range_->read_; }
    Iterator& operator++() {
      ++range_->read_;
      return *this;
    }
    void operator++(int) { ++*this; }
    [[nodiscard]] bool operator==(std::default_sentinel_t) const { return range_->read_ > range_->count_; }

   private:
    OnceOnly* range_;
  };

  explicit OnceOnly(int count) : count_(count) {}
  [[nodiscard]] Iterator begin() {
    ++read_;
    return Iterator(*this);
  }
  [[nodiscard]] static std::default_sentinel_t end() { return std::default_sentinel; }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(count_ - read_); }

 private:
  int count_;
  int read_ = 0;
};

/// A range that ends at a sentinel of its own and can be read once only.
class Countdown {
 public:
  struct End {};
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = int;

    explicit Iterator(int left) : left_(left) {}
    int operator*() const { return left_; }
    Iterator& operator++() {
      --left_;
      return *this;
    }
    void operator++(int) { --left_; }
    bool operator==(End) const { return left_ == 0; }

   private:
    int left_;
  };

  explicit Countdown(int from) : from_(from) {}
  Countdown(Countdown&&) = default;
  [[nodiscard]] Iterator begin() const { return Iterator(from_); }
  [[nodiscard]] End end() const { return {}; }

 private:
  int from_;
};

template <auto n>
concept can_be_chunk_size = requires { procpool::TaskOptions{.chunk_size = n}; };
template <auto n>
concept can_be_read_ahead = requires { procpool::TaskOptions{.read_ahead = n}; };

/// Plain bytes without a default constructor.
struct Meters {
  explicit Meters(int given) : value(given) {}
  int value;
};

/// Counts how often one is sent and received.
struct Dictionary {
  static inline std::atomic<int>* saved = nullptr;
  static inline std::atomic<int>* loaded = nullptr;

  std::map<int, std::string> words = {};

  template <class Archive>
  void save(Archive& archive) const {
    ++*saved;
    archive(words);
  }
  template <class Archive>
  void load(Archive& archive) {
    ++*loaded;
    archive(words);
  }
};

}  // namespace

template <>
inline constexpr bool procpool::is_plain_data<Meters> = true;

TEST_CASE("a map gives a result for each item, in order") {
  ProcessPool pool{2};
  CHECK(pool.map(twice, numbers(1000)) == all_twice(numbers(1000)));
  CHECK(pool.map(length, std::vector<std::string>{"", "one", "seven"}) == std::vector<std::size_t>{0, 3, 5});
}

TEST_CASE("the size of the chunks does not change the results of a map") {
  ProcessPool pool{2};
  const auto texts = [](int count) {
    std::vector<std::string> items;
    for (int i = 0; i < count; ++i) items.push_back(std::string(static_cast<std::size_t>(i), 'x'));
    return items;
  };
  std::vector<std::size_t> lengths(100);
  std::iota(lengths.begin(), lengths.end(), 0);
  for (const std::size_t chunk : {0U, 1U, 2U, 3U, 7U, 50U, 99U, 100U, 101U, 100'000U}) {
    CAPTURE(chunk);
    CHECK(pool.with({.chunk_size = chunk}).map(twice, numbers(100)) == all_twice(numbers(100)));
    CHECK(pool.with({.chunk_size = chunk}).map(length, texts(100)) == lengths);
  }
}

TEST_CASE("a negative size of chunks or number of items to read ahead does not compile") {
  STATIC_REQUIRE(can_be_chunk_size<7>);
  STATIC_REQUIRE(can_be_read_ahead<7>);
  STATIC_REQUIRE_FALSE(can_be_chunk_size<-1>);
  STATIC_REQUIRE_FALSE(can_be_read_ahead<-1>);
}

TEST_CASE("a map over nothing gives nothing and calls nothing") {
  const SharedCount calls;
  ProcessPool pool{2};
  const auto counted = [calls = calls.get()](int x) {
    ++*calls;
    return x;
  };
  CHECK(pool.map(counted, std::vector<int>()).empty());
  CHECK(pool.map(counted, std::list<int>()).empty());
  CHECK(pool.map(counted, std::initializer_list<int>{}).empty());
  CHECK(pool.map(counted, Countdown(0)).empty());
  CHECK(pool.map_async(counted, std::vector<int>()).get().empty());
  CHECK(calls->load() == 0);
  CHECK(pool.stats().submitted == 0);
}

TEST_CASE("a map takes contiguous ranges of every kind") {
  ProcessPool pool{2};
  const int c_array[] = {1, 2, 3};
  const std::vector<int> constant = {1, 2, 3};
  std::array<int, 3> array = {1, 2, 3};
  const std::vector<int> expected = {2, 4, 6};
  CHECK(pool.map(twice, c_array) == expected);
  CHECK(pool.map(twice, constant) == expected);
  CHECK(pool.map(twice, array) == expected);
  CHECK(pool.map(twice, std::span(array)) == expected);
  CHECK(pool.map(twice, {1, 2, 3}) == expected);
  CHECK(pool.map(twice, std::vector{1, 2, 3}) == expected);
  CHECK(pool.map([](char c) { return static_cast<char>(c + 1); }, std::string_view("HAL")) ==
        std::vector{'I', 'B', 'M'});
}

TEST_CASE("a map takes ranges whose items lie apart") {
  ProcessPool pool{2};
  const std::vector<int> expected = {2, 4, 6};
  CHECK(pool.map(twice, std::list{1, 2, 3}) == expected);
  CHECK(pool.map(twice, std::deque{1, 2, 3}) == expected);
  CHECK(pool.map(twice, std::set{3, 2, 1}) == expected);
  CHECK(pool.map([](const std::pair<const int, std::string>& item) { return item.second + std::to_string(item.first); },
                 std::map<int, std::string>{{1, "a"}, {2, "b"}}) == std::vector<std::string>{"a1", "b2"});
}

TEST_CASE("a map takes ranges that make their items as they are read") {
  ProcessPool pool{2};
  std::istringstream text("1 2 3");
  CHECK(pool.map(twice, std::views::istream<int>(text)) == std::vector{2, 4, 6});
  CHECK(pool.map(twice, std::views::iota(1, 4)) == std::vector{2, 4, 6});
  CHECK(pool.map(twice, Countdown(3)) == std::vector{6, 4, 2});
  auto odd = std::views::iota(0) | std::views::filter([](int x) { return x % 2 == 1; }) | std::views::take(3);
  CHECK(pool.map(twice, odd) == std::vector{2, 6, 10});
}

TEST_CASE("a map goes over and gives std::vector of bool") {
  ProcessPool pool{2};
  const std::vector<bool> bits = {true, false, false, true};
  CHECK(pool.map(std::logical_not<bool>(), bits) == std::vector<bool>{false, true, true, false});
}

TEST_CASE("a map goes over items that can only be moved, and leaves those of an lvalue in place") {
  ProcessPool pool{2};
  std::vector<std::unique_ptr<int>> items;
  for (int i = 0; i < 10; ++i) items.push_back(std::make_unique<int>(i));
  const auto value_of = [](const std::unique_ptr<int>& item) { return *item; };
  CHECK(pool.map(value_of, items) == numbers(10));
  CHECK(*items.back() == 9);
  CHECK(pool.map(value_of, std::move(items)) == numbers(10));
}

TEST_CASE("the results of a map need be neither copyable nor default-constructible") {
  ProcessPool pool{2};
  const auto boxed = pool.map([](int x) { return std::make_unique<int>(x); }, numbers(100));
  CHECK(*boxed.at(99) == 99);
  const auto measured = pool.map([](int x) { return Meters(x); }, numbers(100));
  CHECK(measured.at(99).value == 99);
}

TEST_CASE("results lie in their order, whatever their type and in whatever order their chunks end") {
  const SharedGate gate;
  ProcessPool pool{2};
  const auto results_of = [&]<class R>(R make) {
    const auto make_late = [make, first = gate.get()](int x) {
      if (x == 0) first->pass();  // It goes on when all other chunks but perhaps one have ended.
      if (x == 90) first->open();
      return make(x);
    };
    std::vector<int> values;
    for (const auto& result : pool.with({.chunk_size = 7}).map(make_late, numbers(100))) values.push_back(result.value);
    return values;
  };
  SECTION("copied") {
    struct Plain {
      int value;
    };
    CHECK(results_of([](int x) { return Plain{x}; }) == numbers(100));
  }
  SECTION("not to be assigned") {
    struct Fixed {
      const int value = 0;
    };
    CHECK(results_of([](int x) { return Fixed{x}; }) == numbers(100));
  }
  SECTION("aligned more strictly than a cache line") {
    struct alignas(256) Aligned {
      int value;
    };
    CHECK(results_of([](int x) { return Aligned{x}; }) == numbers(100));
  }
}

TEST_CASE("a map goes over several ranges side by side, up to the end of the shortest") {
  ProcessPool pool{2};
  const std::vector<int> three = {1, 2, 3};
  CHECK(pool.map(std::plus<>(), three, std::list{10, 20, 30, 40}) == std::vector{11, 22, 33});
  CHECK(pool.map(std::plus<>(), three, std::views::iota(10)) == std::vector{11, 13, 15});
  CHECK(pool.map(std::plus<>(), three, std::vector<int>()).empty());
  const auto sum = [](int a, long b, short c) { return a + b + c; };
  CHECK(pool.map(sum, three, std::vector{10L, 20L}, std::vector<short>{100, 200, 300}) == std::vector{111L, 222L});
}

TEST_CASE("a map side by side has as many results as calls, whether or not the sizes are known before") {
  ProcessPool pool{2};
  const std::vector<int> ten = numbers(10);
  auto even = ten | std::views::filter([](int x) { return x % 2 == 0; });  // Nobody knows its size.
  const std::vector<int> sums = {0, 3, 6, 9, 12};
  CHECK(pool.map(std::plus<>(), ten, even) == sums);
  CHECK(pool.map(std::plus<>(), even, ten) == sums);
  CHECK(pool.map_async(std::plus<>(), ten, even).get() == sums);
  CHECK(pool.map_outcomes(std::plus<>(), ten, even).size() == 5);
  const auto as_text = [](int a, int b) { return std::to_string(a + b); };
  CHECK(pool.map(as_text, ten, even) == std::vector<std::string>{"0", "3", "6", "9", "12"});
  CHECK(pool.map(std::minus<>(), ten, std::views::iota(0)) == std::vector(10, 0));
  std::size_t seen = 0;
  const auto terms = pool.with({}).on_progress([&seen](const procpool::Progress& progress) { seen = progress.total; });
  CHECK(terms.map(std::minus<>(), std::views::iota(0), ten) == std::vector(10, 0));
  CHECK(seen == 10);
}

TEST_CASE("a single-pass range is asked for its size before it is begun") {
  ProcessPool pool{2};
  CHECK(pool.map(twice, OnceOnly(10)) == all_twice({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST_CASE("a starmap over references sends what they named when they were read") {
  ProcessPool pool{2};
  std::string input;
  for (const char letter : {'a', 'b', 'c'}) input.append(1000, letter).append(1, ' ');
  for (const std::size_t chunk : {1U, 3U}) {
    CAPTURE(chunk);
    std::istringstream stream(input);
    auto words = std::views::istream<std::string>(stream) |
                 std::views::transform([](std::string& word) { return std::tie(word); });
    const auto begin_of = [](const std::string& word) { return word.substr(0, 2); };
    CHECK(pool.with({.chunk_size = chunk}).starmap(begin_of, words) == std::vector<std::string>{"aa", "bb", "cc"});
  }
}

TEST_CASE("a starmap takes each item apart into the arguments of a call") {
  ProcessPool pool{2};
  using Call = std::tuple<int, std::string>;
  const auto repeated = [](int times, const std::string& text) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  const std::vector<Call> calls = {{0, "a"}, {1, "b"}, {3, "c"}};
  const std::vector<std::string> expected = {"", "b", "ccc"};
  CHECK(pool.starmap(repeated, calls) == expected);
  CHECK(pool.with({.chunk_size = 2}).starmap(repeated, calls) == expected);
  CHECK(pool.starmap_async(repeated, calls).get() == expected);
  CHECK(pool.starmap(std::minus<>(), std::map<int, int>{{1, 10}, {2, 30}}) == std::vector{-9, -28});
  CHECK(pool.starmap(repeated, std::vector<Call>()).empty());
  CHECK(pool.starmap([] { return 1; }, std::vector<std::tuple<>>(3)) == std::vector{1, 1, 1});
}

TEST_CASE("a map that is sent asynchronously gives one future of all results") {
  ProcessPool pool{2};
  CHECK(pool.map_async(twice, numbers(1000)).get() == all_twice(numbers(1000)));
  CHECK(pool.with({.chunk_size = 7}).map_async(twice, numbers(100)).get() == all_twice(numbers(100)));
  CHECK(pool.map_async(twice, Countdown(3)).get() == std::vector{6, 4, 2});
  CHECK(pool.map_async(std::plus<>(), std::vector{1, 2}, std::vector{10, 20}).get() == std::vector{11, 22});
}

TEST_CASE("a map that is sent asynchronously is sent before its call returns, and awaited by the future alone") {
  const support::SharedGate gate;
  ProcessPool pool{2};
  const support::OpensAtEnd opens(gate);
  std::vector<int> items = numbers(4);
  auto later = pool.with({.chunk_size = 1})
                   .map_async(
                       [gate = gate.get()](int x) {
                         gate->pass();
                         return x;
                       },
                       items);
  items.assign(4, -1);
  REQUIRE(gate->is_reached_by(2));
  CHECK_FALSE(later.wait_for(std::chrono::nanoseconds(0)));
  gate->open();
  CHECK(later.get() == numbers(4));
}

TEST_CASE("a map of a function that returns nothing can be sent asynchronously") {
  const SharedCount sum;
  ProcessPool pool{2};
  pool.map_async([sum = sum.get()](int x) { *sum += x; }, numbers(100)).get();
  CHECK(sum->load() == 4950);
}

TEST_CASE("the results of a map may be larger than any buffer between processes") {
  ProcessPool pool{2};
  const auto filled = [](int i) { return std::string(std::size_t{1} << 20, static_cast<char>('a' + i)); };
  const auto results = pool.map(filled, numbers(16));
  REQUIRE(results.size() == 16);
  for (int i = 0; i < 16; ++i) CHECK(results[static_cast<std::size_t>(i)] == filled(i));
}

TEST_CASE("a map may send and return more than the shared memory holds at a time") {
  ProcessPool pool{{.workers = 2, .shared_memory = std::size_t{64} << 20}};
  const std::string large(std::size_t{1} << 20, 'x');
  const std::vector<std::string> items(40, large);
  CHECK(pool.map(length, items) == std::vector<std::size_t>(40, large.size()));
  const auto results = pool.map([](int) { return std::string(std::size_t{1} << 20, 'y'); }, numbers(40));
  CHECK(results.size() == 40);
}

TEST_CASE("a map of many tiny items gives them all back") {
  ProcessPool pool{2};
  const auto results = pool.map(twice, std::views::iota(0, 1'000'000));
  REQUIRE(results.size() == 1'000'000);
  CHECK(results.back() == 1'999'998);
  CHECK(pool.stats().submitted < 100'000);  // in chunks
}

TEST_CASE("what is bound to the function of a map is encoded once, and decoded once in each worker") {
  const SharedCount saved;
  const SharedCount loaded;
  Dictionary::saved = saved.get();
  Dictionary::loaded = loaded.get();
  ProcessPool pool{2};
  const auto look_up = [](const Dictionary& dictionary, int key) { return dictionary.words.at(key); };
  const Dictionary dictionary{{{0, "zero"}, {1, "one"}}};
  std::vector<int> keys(100, 1);
  const auto found = pool.with({.chunk_size = 1}).map(procpool::partial(look_up, dictionary), keys);
  CHECK(found == std::vector<std::string>(100, "one"));
  CHECK(saved->load() == 1);
  CHECK(loaded->load() <= 2);
}
