// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using Catch::Matchers::ContainsSubstring;
using procpool::Outcome;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::numbers;
using support::refuse_threes;
using support::same;
using support::SharedCount;

namespace {

int crash_on_three(int x) {
  if (x % 10 == 3) ::raise(SIGKILL);
  return x;
}

/// Fails on the way, where it is told to.
struct Fragile {
  enum Place { nowhere, sending, receiving };

  Place place = nowhere;

  template <class Archive>
  void save(Archive& archive) const {
    if (place == sending) throw std::range_error("it cannot be sent");
    archive(place);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(place);
    if (place == receiving) throw std::range_error("it cannot be received");
  }
};

/// Numbers from 0 on; reading the one at `end` throws.
auto numbers_that_throw_at(int end) {
  return std::views::iota(0) | std::views::transform([end](int x) {
           if (x == end) throw std::underflow_error("the range is broken");
           return x;
         });
}

/// What `call` throws.
template <class Exception, class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("a map whose items fail throws the failure with the lowest position") {
  ProcessPool pool{2};
  for (const std::size_t chunk : {0U, 1U, 7U, 100U}) {
    CAPTURE(chunk);
    const auto terms = pool.with({.chunk_size = chunk});
    CHECK(message_of<std::out_of_range>([&] { terms.map(refuse_threes, numbers(40)); }) == "item 3");
    CHECK(message_of<std::out_of_range>([&] { terms.map_async(refuse_threes, numbers(40)).get(); }) == "item 3");
  }
  CHECK(message_of<std::out_of_range>([&] { pool.for_each(refuse_threes, numbers(40)); }) == "item 3");
  CHECK(message_of<std::out_of_range>([&] {
          pool.starmap(refuse_threes, std::vector<std::tuple<int>>{{1}, {13}, {3}});
        }) == "item 13");
}

TEST_CASE("a map whose items fail finishes all others before it throws") {
  const SharedCount done;
  ProcessPool pool{2};
  for (const std::size_t chunk : {0U, 1U, 7U, 100U}) {
    CAPTURE(chunk);
    *done = 0;
    const auto counted = [done = done.get()](int x) {
      refuse_threes(x);
      ++*done;
    };
    CHECK_THROWS_AS(pool.with({.chunk_size = chunk}).for_each(counted, numbers(100)), std::out_of_range);
    CHECK(done->load() == 90);
  }
}

TEST_CASE("a map of outcomes tells of each item what became of it") {
  ProcessPool pool{2};
  for (const std::size_t chunk : {0U, 1U, 7U, 100U}) {
    CAPTURE(chunk);
    const std::vector<Outcome<int>> outcomes =
        pool.with({.chunk_size = chunk}).map_outcomes(refuse_threes, numbers(40));
    REQUIRE(outcomes.size() == 40);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      CHECK(outcomes[i].position() == i);
      CHECK(outcomes[i].has_value() == (i % 10 != 3));
      if (outcomes[i]) CHECK(*outcomes[i] == static_cast<int>(i));
    }
    CHECK_THROWS_WITH(outcomes[13].value(), "item 13");
  }
}

TEST_CASE("a function that returns nothing has outcomes too") {
  ProcessPool pool{2};
  const auto outcomes = pool.map_outcomes([](int x) { refuse_threes(x); }, numbers(5));
  REQUIRE(outcomes.size() == 5);
  CHECK(outcomes[2].has_value());
  CHECK_THROWS_AS(outcomes[3].value(), std::out_of_range);
  CHECK(outcomes[4].has_value());
}

TEST_CASE("an item of a map that kills its worker is lost alone, and the error says which it was") {
  ProcessPool pool{2};
  for (const std::size_t chunk : {0U, 1U, 7U, 40U}) {
    CAPTURE(chunk);
    const auto outcomes = pool.with({.chunk_size = chunk, .label = "score"}).map_outcomes(crash_on_three, numbers(40));
    REQUIRE(outcomes.size() == 40);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (i % 10 != 3) {
        CHECK(outcomes[i].has_value());
        continue;
      }
      try {
        outcomes[i].value();
        FAIL("item " << i << " has a value");
      } catch (const WorkerDied& death) {
        CHECK(death.signal() == SIGKILL);
        CHECK(death.position() == i);
        CHECK(death.label() == "score");
        CHECK(death.pid() > 0);
      }
    }
  }
  CHECK(pool.stats().worker_deaths == 16);
}

TEST_CASE("an item of a map that ends its process fails the map, after all others were finished") {
  const SharedCount done;
  ProcessPool pool{2};
  const auto quit_on_three = [done = done.get()](int x) {
    if (x == 3) ::_exit(7);
    ++*done;
    return x;
  };
  try {
    pool.map(quit_on_three, numbers(20));
    FAIL("the map did not throw");
  } catch (const WorkerDied& death) {
    CHECK(death.exit_status() == 7);
    CHECK(death.signal() == 0);
    CHECK(death.position() == 3);
    CHECK_THAT(death.what(), ContainsSubstring("item 3"));
  }
  CHECK(done->load() == 19);
}

TEST_CASE("a failing item does not hinder results that are large") {
  ProcessPool pool{2};
  const auto outcomes = pool.map_outcomes(
      [](int x) {
        if (x == 0) throw std::domain_error("no");
        return std::string(std::size_t{1} << 20, 'x');
      },
      numbers(10));
  CHECK_FALSE(outcomes.at(0).has_value());
  CHECK(outcomes.at(9)->size() == std::size_t{1} << 20);
}

TEST_CASE("an exception of the range that a map reads reaches its caller, and the pool goes on") {
  ProcessPool pool{2};
  CHECK_THROWS_AS(pool.map(refuse_threes, numbers_that_throw_at(50)), std::underflow_error);
  CHECK_THROWS_AS(pool.map(refuse_threes, numbers_that_throw_at(0)), std::underflow_error);
  CHECK_THROWS_AS(pool.with({.chunk_size = 3}).map_outcomes(refuse_threes, numbers_that_throw_at(50)),
                  std::underflow_error);
  CHECK_THROWS_AS(pool.map_async(refuse_threes, numbers_that_throw_at(50)), std::underflow_error);
  CHECK(pool.map(refuse_threes, numbers(3)) == numbers(3));
  pool.wait_idle();
}

TEST_CASE("a map that is sent asynchronously over more items than a vector can hold is refused, and leaves nothing") {
  ProcessPool pool{1};
  const auto too_many = std::views::iota(0L, 1L << 62);
  CHECK_THROWS_AS(pool.map_async([](long x) { return x; }, too_many), std::length_error);
  CHECK(pool.submit(same, 1).get() == 1);
}

TEST_CASE("an argument that cannot be sent fails the call that sends it, and the pool goes on") {
  ProcessPool pool{2};
  const auto ignore = [](const Fragile&) { return 1; };
  CHECK_THROWS_AS(pool.submit(ignore, Fragile{Fragile::sending}), std::range_error);
  CHECK_THROWS_AS(pool.map(ignore, std::vector<Fragile>{{}, {Fragile::sending}, {}}), std::range_error);
  CHECK(pool.map(ignore, std::vector<Fragile>(3)) == std::vector{1, 1, 1});
}

TEST_CASE("an argument that cannot be received fails its item alone") {
  ProcessPool pool{2};
  const auto ignore = [](const Fragile&) { return 1; };
  CHECK_THROWS_AS(pool.submit(ignore, Fragile{Fragile::receiving}).get(), std::range_error);
  const auto outcomes =
      pool.with({.chunk_size = 3}).map_outcomes(ignore, std::vector<Fragile>{{}, {Fragile::receiving}, {}});
  CHECK(outcomes.at(0).has_value());
  CHECK_THROWS_AS(outcomes.at(1).value(), std::range_error);
  CHECK(outcomes.at(2).has_value());
}

TEST_CASE("a result that cannot be sent or received fails its item alone") {
  ProcessPool pool{2};
  const auto make = [](int place) { return Fragile{static_cast<Fragile::Place>(place)}; };
  CHECK_THROWS_AS(pool.submit(make, Fragile::sending).get(), std::range_error);
  CHECK_THROWS_AS(pool.submit(make, Fragile::receiving).get(), std::range_error);
  const auto outcomes = pool.with({.chunk_size = 3}).map_outcomes(make, numbers(3));
  CHECK(outcomes.at(0).has_value());
  CHECK_THROWS_AS(outcomes.at(1).value(), std::range_error);
  CHECK_THROWS_AS(outcomes.at(2).value(), std::range_error);
}

TEST_CASE("a failing item of a map that was sent asynchronously leaves another task unharmed") {
  const support::SharedGate gate;
  ProcessPool pool{2};
  const support::OpensAtEnd opens(gate);
  auto running = pool.submit([gate = gate.get()] {
    gate->pass();
    return 1;
  });
  REQUIRE(gate->is_reached_by(1));
  CHECK_THROWS_AS(pool.map_async(refuse_threes, numbers(40)).get(), std::out_of_range);
  gate->open();
  CHECK(running.get() == 1);
}

TEST_CASE(
    "of a map that is sent asynchronously and whose range throws, no further item begins, and no progress is told") {
  const support::SharedGate gate;
  const SharedCount begun;
  std::atomic<int> told{0};
  ProcessPool pool{2};
  const support::OpensAtEnd opens(gate);
  const auto counted = [gate = gate.get(), begun = begun.get()](int x) {
    ++*begun;
    gate->pass();
    return x;
  };
  CHECK_THROWS_AS(pool.with({.chunk_size = 1})
                      .on_progress([&told](const procpool::Progress&) { ++told; })
                      .map_async(counted, numbers_that_throw_at(20)),
                  std::underflow_error);
  gate->open();
  pool.wait_idle();
  CHECK(*begun <= 2);
  CHECK(pool.submit(same, 1).then(same).get() == 1);  // behind what the dispatch thread had to do
  CHECK(told == 0);
}
