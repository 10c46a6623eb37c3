// SPDX-License-Identifier: BSL-1.0

#include <signal.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/in_child.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::Cancelled;
using procpool::PoolClosed;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::eventually;
using support::OpensAtEnd;
using support::refuse_threes;
using support::SharedCount;
using support::SharedGate;
using support::twice;

namespace {

/// Numbers without end that tell how many of them were read, and by whom.
class Source {
 public:
  [[nodiscard]] auto items(int end = -1) {
    return std::views::iota(0) | std::views::transform([this, end](int x) {
             if (x == end) throw std::underflow_error("the range is broken");
             read_ = x + 1;
             readers_.insert(std::this_thread::get_id());
             return x;
           });
  }
  [[nodiscard]] int read() const { return read_; }
  [[nodiscard]] const std::set<std::thread::id>& readers() const { return readers_; }

 private:
  int read_ = 0;
  std::set<std::thread::id> readers_;
};

/// Counts the objects of its kind that live in this process. One that was moved from counts no more.
class Counted {
 public:
  static inline int alive = 0;

  Counted() { ++alive; }
  Counted(const Counted& other) : counts_(other.counts_) { alive += counts_ ? 1 : 0; }
  Counted(Counted&& other) noexcept : counts_(std::exchange(other.counts_, false)) {}
  Counted& operator=(Counted other) noexcept {
    std::swap(counts_, other.counts_);
    return *this;
  }
  ~Counted() { alive -= counts_ ? 1 : 0; }

  template <class Archive>
  void serialize(Archive&) {}

 private:
  bool counts_ = true;
};

/// The numbers from 0 on; to go on from `last` to the next one fails.
class Breaking {
 public:
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = int;

    explicit Iterator(int last) : last_(last) {}
    int operator*() const { return at_; }
    Iterator& operator++() {
      if (at_ == last_) throw std::underflow_error("the range is broken");
      ++at_;
      return *this;
    }
    void operator++(int) { ++*this; }
    [[nodiscard]] bool operator==(std::default_sentinel_t) const { return at_ > last_; }

   private:
    int last_;
    int at_ = 0;
  };

  explicit Breaking(int last) : last_(last) {}
  [[nodiscard]] Iterator begin() const { return Iterator(last_); }
  [[nodiscard]] static std::default_sentinel_t end() { return std::default_sentinel; }

 private:
  int last_;
};

template <class Results>
std::vector<int> collected(Results&& results) {
  std::vector<int> all;
  for (const int result : results) all.push_back(result);
  return all;
}

}  // namespace

TEST_CASE("a lazy map gives its results in order") {
  ProcessPool pool{2};
  std::vector<int> expected;
  for (int i = 0; i < 100; ++i) expected.push_back(2 * i);
  for (const std::size_t chunk : {0U, 1U, 7U, 1000U}) {
    CAPTURE(chunk);
    CHECK(collected(pool.with({.chunk_size = chunk}).imap(twice, std::views::iota(0, 100))) == expected);
  }
}

TEST_CASE("an unordered lazy map gives every result once") {
  ProcessPool pool{2};
  std::vector<int> expected;
  for (int i = 0; i < 100; ++i) expected.push_back(2 * i);
  for (const std::size_t chunk : {0U, 1U, 7U, 1000U}) {
    CAPTURE(chunk);
    auto results = collected(pool.with({.chunk_size = chunk}).imap_unordered(twice, std::views::iota(0, 100)));
    std::sort(results.begin(), results.end());
    CHECK(results == expected);
  }
}

TEST_CASE("an unordered lazy map gives first what finishes first") {
  const SharedGate gate;
  ProcessPool pool{2};
  const OpensAtEnd opens(gate);
  const auto hold_the_first = [gate = gate.get()](int x) {
    if (x == 0) gate->pass();
    return x;
  };
  std::vector<int> order;
  for (const int result : pool.imap_unordered(hold_the_first, std::vector{0, 1, 2, 3})) {
    order.push_back(result);
    if (order.size() == 3) gate->open();
  }
  REQUIRE(order.size() == 4);
  CHECK(order.back() == 0);
}

TEST_CASE("the outcomes of an unordered lazy map say which items they are of") {
  ProcessPool pool{2};
  std::set<std::size_t> positions;
  for (auto&& outcome : pool.imap_unordered_outcomes(refuse_threes, std::views::iota(0, 40))) {
    positions.insert(outcome.position());
    REQUIRE(outcome.has_value() == (outcome.position() % 10 != 3));
    if (outcome) REQUIRE(*outcome == static_cast<int>(outcome.position()));
  }
  CHECK(positions.size() == 40);
}

TEST_CASE("a death in a lazy map is the outcome of its item alone") {
  ProcessPool pool{2};
  const auto crash_on_three = [](int x) {
    if (x == 3) ::raise(SIGKILL);
    return x;
  };
  int deaths = 0;
  int values = 0;
  for (auto&& outcome : pool.with({.chunk_size = 5}).imap_unordered_outcomes(crash_on_three, std::views::iota(0, 20))) {
    if (outcome) {
      ++values;
      continue;
    }
    ++deaths;
    CHECK(outcome.position() == 3);
    CHECK_THROWS_AS(outcome.value(), WorkerDied);
  }
  CHECK(deaths == 1);
  CHECK(values == 19);
}

TEST_CASE("a lazy map over nothing gives nothing") {
  ProcessPool pool{2};
  CHECK(collected(pool.imap(twice, std::vector<int>())).empty());
  CHECK(collected(pool.imap_unordered(twice, std::vector<int>())).empty());
}

TEST_CASE("a lazy map goes over several ranges side by side, up to the end of the shortest") {
  ProcessPool pool{2};
  CHECK(collected(pool.imap(std::plus<>(), std::vector{1, 2, 3}, std::views::iota(10))) == std::vector{11, 13, 15});
}

TEST_CASE("a lazy map is an input range") {
  ProcessPool pool{1};
  auto results = pool.imap(twice, std::vector{1, 2, 3, 4});
  STATIC_REQUIRE(std::ranges::input_range<decltype(results)>);
  std::vector<int> odd_halves;
  for (const int x : results | std::views::transform([](int doubled) { return doubled / 2; }) |
                         std::views::filter([](int x) { return x % 2 == 1; })) {
    odd_halves.push_back(x);
  }
  CHECK(odd_halves == std::vector{1, 3});
}

TEST_CASE("the results of a lazy map can be moved out of it") {
  ProcessPool pool{2};
  std::vector<std::unique_ptr<int>> taken;
  for (auto&& result : pool.imap([](int x) { return std::make_unique<int>(x); }, std::vector{1, 2})) {
    taken.push_back(std::move(result));
  }
  REQUIRE(taken.size() == 2);
  CHECK(*taken[1] == 2);
}

TEST_CASE("a lazy map reads no more than it was allowed to beyond its consumer") {
  ProcessPool pool{2};
  for (const std::size_t ahead : {1U, 3U, 10U}) {
    CAPTURE(ahead);
    Source source;
    int consumed = 0;
    auto results = pool.with({.read_ahead = ahead}).imap(twice, source.items());
    CHECK(source.read() == static_cast<int>(ahead));  // Reading begins at the call.
    for (const int result : results) {
      REQUIRE(result == 2 * consumed);
      REQUIRE(source.read() <= ++consumed + static_cast<int>(ahead));
      if (consumed == 50) break;
    }
  }
}

TEST_CASE("a chunk of a lazy map is no larger than what may be read ahead") {
  ProcessPool pool{2};
  Source source;
  auto results = pool.with({.chunk_size = 100, .read_ahead = 5}).imap_unordered(twice, source.items());
  CHECK(source.read() == 5);
  CHECK(*results.begin() % 2 == 0);
  CHECK(source.read() <= 6);
}

TEST_CASE("a lazy map stops reading while its consumer does") {
  ProcessPool pool{2};
  Source source;
  auto results = pool.imap(twice, source.items());
  auto result = results.begin();
  pool.wait_idle();
  const int read = source.read();
  CHECK(read <= 1 + 4 * 2);  // a few per worker
  for (int i = 0; i < 20; ++i) ++result;
  CHECK(*result == 40);
  CHECK(source.read() > read);
}

TEST_CASE("a lazy map reads its range on the thread that iterates") {
  ProcessPool pool{2};
  Source source;
  int left = 100;
  for ([[maybe_unused]] const int result : pool.imap_unordered(twice, source.items())) {
    if (--left == 0) break;
  }
  CHECK(source.readers() == std::set{std::this_thread::get_id()});
}

TEST_CASE("leaving a lazy map early cancels what has not started") {
  const SharedGate gate;
  const SharedCount started;
  ProcessPool pool{2};
  const OpensAtEnd opens(gate);
  const auto wait = [gate = gate.get(), started = started.get()](int x) {
    ++*started;
    if (x > 0) gate->pass();
    return x;
  };
  for (const int result : pool.with({.read_ahead = 50}).imap(wait, std::views::iota(0))) {
    CHECK(result == 0);
    REQUIRE(gate->is_reached_by(2));
    break;
  }
  gate->open();
  pool.wait_idle();
  CHECK(started->load() == 3);
}

TEST_CASE("leaving a lazy map early begins no further item of a chunk that has begun") {
  const SharedGate gate;
  const SharedCount started;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  const auto wait = [gate = gate.get(), started = started.get()](int x) {
    ++*started;
    gate->pass();
    return x;
  };
  {
    auto left = pool.with({.chunk_size = 100}).imap(wait, std::views::iota(0, 100));
    REQUIRE(gate->is_reached_by(1));
  }
  gate->open();
  pool.wait_idle();
  CHECK(started->load() == 1);
}

TEST_CASE("a lazy map that nobody iterates does no harm") {
  ProcessPool pool{2};
  { auto unread = pool.imap(twice, std::views::iota(0)); }
  CHECK(pool.submit(twice, 1).get() == 2);
}

TEST_CASE("a lazy map that failed at an item goes on with the next") {
  ProcessPool pool{2};
  for (const std::size_t chunk : {1U, 7U}) {
    CAPTURE(chunk);
    auto results = pool.with({.chunk_size = chunk}).imap(refuse_threes, std::views::iota(0, 6));
    std::vector<int> good;
    int failures = 0;
    for (auto result = results.begin(); result != results.end(); ++result) {
      try {
        good.push_back(*result);
      } catch (const std::out_of_range&) {
        ++failures;
      }
    }
    CHECK(good == std::vector{0, 1, 2, 4, 5});
    CHECK(failures == 1);
  }
}

TEST_CASE("an unordered lazy map that failed at an item goes on with the others") {
  ProcessPool pool{2};
  auto results = pool.with({.chunk_size = 3}).imap_unordered(refuse_threes, std::views::iota(0, 20));
  std::vector<int> good;
  int failures = 0;
  for (auto result = results.begin(); result != results.end(); ++result) {
    try {
      good.push_back(*result);
    } catch (const std::out_of_range&) {
      ++failures;
    }
  }
  CHECK(good.size() == 18);
  CHECK(failures == 2);
}

TEST_CASE("a lazy map keeps nothing of the items that it has sent and of the results that it has given") {
  ProcessPool pool{2};
  const int items = 50;
  for (const int chunk : {1, 7}) {
    CAPTURE(chunk);
    auto made = std::views::iota(0, items) | std::views::transform([](int) { return Counted(); });
    auto results =
        pool.with({.chunk_size = static_cast<std::size_t>(chunk)}).imap([](const Counted& item) { return item; }, made);
    int given = 0;
    for (auto&& result : results) {
      static_cast<void>(result);
      const int to_come = std::min(chunk - given % chunk, items - given);  // of the chunk that ended last
      REQUIRE(Counted::alive <= to_come);
      ++given;
    }
    CHECK(given == items);
    CHECK(Counted::alive == 0);
  }
}

TEST_CASE("an exception of the range that a lazy map reads arrives behind the items before it") {
  ProcessPool pool{2};
  Source source;
  auto results = pool.imap(twice, source.items(20));
  auto result = results.begin();
  for (int i = 0; i < 19; ++i, ++result) REQUIRE(*result == 2 * i);
  CHECK(*result == 38);
  CHECK_THROWS_AS(++result, std::underflow_error);
  CHECK(result == results.end());

  int seen = 0;
  const auto count_all = [&] {
    for ([[maybe_unused]] const int each : pool.imap_unordered(twice, source.items(20))) ++seen;
  };
  CHECK_THROWS_AS(count_all(), std::underflow_error);
  CHECK(seen == 20);
}

TEST_CASE("no item before an exception of the range is lost, wherever in a chunk it is") {
  ProcessPool pool{2};
  Source source;
  for (const std::size_t chunk : {1U, 7U, 100U}) {
    CAPTURE(chunk);
    const auto terms = pool.with({.chunk_size = chunk});
    const auto read_before_failure = [](auto results) {
      std::vector<int> seen;
      CHECK_THROWS_AS(([&] {
                        for (const int result : results) seen.push_back(result);
                      }()),
                      std::underflow_error);
      std::sort(seen.begin(), seen.end());
      return seen;
    };
    const std::vector<int> expected = collected(pool.imap(twice, std::views::iota(0, 20)));
    CHECK(read_before_failure(terms.imap(twice, source.items(20))) == expected);
    CHECK(read_before_failure(terms.imap_unordered(twice, source.items(20))) == expected);
    CHECK(read_before_failure(terms.imap(twice, Breaking(19))) == expected);
    CHECK(read_before_failure(terms.imap(std::plus<>(), source.items(20), Breaking(100))) == expected);
    CHECK(read_before_failure(terms.imap(std::plus<>(), Breaking(100), source.items(20))) == expected);
  }
}

TEST_CASE("the text before an exception of the range is whole, though the next item was half read") {
  ProcessPool pool{2};
  const auto text = [](int x) { return std::string(5, static_cast<char>('a' + x)); };
  Source source;
  auto results = pool.with({.chunk_size = 100})
                     .imap([](const std::string& a, int b) { return a + std::to_string(b); },
                           std::views::iota(0, 26) | std::views::transform(text), source.items(3));
  std::string all;
  auto result = results.begin();
  for (int i = 0; i < 2; ++i, ++result) all += *result;
  all += *result;
  CHECK(all == "aaaaa0bbbbb1ccccc2");
  CHECK_THROWS_AS(++result, std::underflow_error);
}

TEST_CASE("a chunk of a lazy map may be meant to hold everything") {
  ProcessPool pool{2};
  const std::vector<int> expected = collected(pool.imap(twice, std::views::iota(0, 20)));
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  for (const std::size_t chunk : {most, most / 2 + 1, most / 8 + 1, most / 3}) {
    CAPTURE(chunk);
    CHECK(collected(pool.with({.chunk_size = chunk}).imap(twice, std::views::iota(0, 20))) == expected);
  }
}

TEST_CASE("a lazy map that outlives its pool gives what was sent, then says that the pool is gone") {
  auto pool = std::make_unique<ProcessPool<>>(2);
  const std::string text(1000, 'x');
  const auto size_plus = [](const std::string& bound, int x) { return static_cast<int>(bound.size()) + x; };
  const auto terms = pool->with({.read_ahead = 10});
  auto read = terms.imap(procpool::partial(size_plus, text), std::views::iota(0, 100));
  auto unread = terms.imap_unordered(procpool::partial(size_plus, text), std::views::iota(0, 100));
  auto complete = terms.imap(twice, std::vector{1, 2, 3});
  auto result = read.begin();  // From here on item 10 is under way.
  pool.reset();
  for (int i = 0; i < 10; ++i, ++result) REQUIRE(*result == 1000 + i);
  CHECK(*result == 1010);
  CHECK_THROWS_AS(++result, PoolClosed);
  CHECK(collected(complete) == std::vector{2, 4, 6});
}

TEST_CASE("a lazy map and a loop over futures are of no use in a forked process, and do no harm there") {
  ProcessPool pool{2};
  std::vector<procpool::Future<int>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(pool.submit(twice, i));
  const auto is_refused_in_child = [](auto loop) {
    auto each = loop->begin();
    return true_in_child([&] {
      try {
        ++each;
      } catch (const procpool::UsageError& error) {
        loop.reset();
        return std::string_view(error.what()).find("forked") != std::string_view::npos;
      }
      return false;
    });
  };
  const auto kept = [](auto&& make) { return std::unique_ptr<decltype(make())>(new auto(make())); };
  CHECK(is_refused_in_child(kept([&] { return pool.imap(twice, std::views::iota(0, 100)); })));
  CHECK(is_refused_in_child(kept([&] { return pool.imap_unordered(twice, std::views::iota(0, 100)); })));
  CHECK(is_refused_in_child(kept([&] { return procpool::as_completed(futures); })));
}

TEST_CASE("a lazy map of a range that throws at once throws when it is read") {
  ProcessPool pool{2};
  Source source;
  auto results = pool.imap(twice, source.items(0));
  CHECK_THROWS_AS(results.begin(), std::underflow_error);
}

TEST_CASE("a lazy map keeps a temporary range, and needs nothing of the terms it was made with") {
  ProcessPool pool{2};
  const auto make = [&] {
    std::string label = "a label that is too long for a small string";
    return pool.with({.label = label})
        .imap([](const std::string& text) { return text + std::string(procpool::this_task::label()); },
              std::vector<std::string>{"one: ", "two: "});
  };
  std::vector<std::string> results;
  for (auto&& result : make()) results.push_back(result);
  CHECK(results == std::vector<std::string>{"one: a label that is too long for a small string",
                                            "two: a label that is too long for a small string"});
}

TEST_CASE("two lazy maps of one pool can be read side by side") {
  ProcessPool pool{2};
  auto evens = pool.imap(twice, std::views::iota(0));
  auto same = pool.imap(refuse_threes, std::views::iota(100));
  auto even = evens.begin();
  auto other = same.begin();
  for (int i = 0; i < 20; ++i, ++even, ++other) {
    REQUIRE(*even == 2 * i);
    if (i % 10 != 3) REQUIRE(*other == 100 + i);
  }
}

TEST_CASE("a lazy map reports an error once its pool was terminated") {
  ProcessPool pool{2};
  auto results = pool.imap(twice, std::views::iota(0));
  auto result = results.begin();
  pool.terminate();
  const auto read_on = [&] {
    for (int i = 0; i < 100; ++i, ++result) static_cast<void>(*result);
  };
  CHECK_THROWS_AS(read_on(), PoolClosed);
}

TEST_CASE("a lazy map ends with an error when its pool was closed under it") {
  ProcessPool pool{2};
  auto results = pool.imap(twice, std::views::iota(0));
  auto result = results.begin();
  pool.close();
  const auto read_on = [&] {
    for (int i = 0; i < 100; ++i, ++result) REQUIRE(*result == 2 * i);
  };
  CHECK_THROWS_AS(read_on(), PoolClosed);
}

TEST_CASE("the items of a lazy map that were cancelled say so") {
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  const auto wait = [gate = gate.get()](int x) {
    gate->pass();
    return x;
  };
  auto results = pool.with({.read_ahead = 3}).imap(wait, std::views::iota(0, 3));
  REQUIRE(gate->is_reached_by(1));
  pool.cancel_pending();
  gate->open();
  auto result = results.begin();
  CHECK(*result == 0);
  for (int i = 1; i < 3; ++i) {
    ++result;
    CHECK_THROWS_AS(*result, Cancelled);
  }
}
