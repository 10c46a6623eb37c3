// SPDX-License-Identifier: BSL-1.0

#include <signal.h>

#include <chrono>
#include <cstddef>
#include <ctime>
#include <stdexcept>
#include <string>
#include <vector>

#include <procpool/detail/os/sanitizers.hpp>
#include <procpool/procpool.hpp>

#include "../support/catch.hpp"

using namespace std::chrono_literals;
using procpool::Future;
using procpool::ProcessPool;
using procpool::Usage;
using procpool::UsageError;
using procpool::WorkerDied;

namespace {

/// Computes until the process has used so much CPU time.
int burn(std::chrono::nanoseconds time) {
  const auto used = [] {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  const auto end = used() + time;
  int turns = 0;
  while (used() < end) ++turns;
  return turns;
}
std::size_t fill(std::size_t bytes) { return std::string(bytes, 'x').size(); }

}  // namespace

TEST_CASE("a measured task tells its CPU time and its peak memory, and gives its result all the same") {
  ProcessPool pool{1};
  const auto measured = pool.with({.measure = true});
  Future<int> busy = measured.submit(burn, 30ms);
  CHECK(busy.usage().cpu_time >= 25ms);
  CHECK(busy.usage().cpu_time < 10s);
  CHECK(busy.get() > 0);

  constexpr std::size_t much = std::size_t{100} << 20;
  Future<std::size_t> large = measured.submit(fill, much);
  Future<std::size_t> small = measured.submit(fill, std::size_t{1});
  CHECK(large.usage().peak_memory >= much);
  CHECK(small.usage().peak_memory > 0);
  // A sanitizer keeps for a while what was freed.
  if (!procpool::detail::is_sanitized) CHECK(small.usage().peak_memory < much);
  CHECK(small.usage().cpu_time < 25ms);
  CHECK(large.get() == much);
}

TEST_CASE("a task that throws is measured too; of one whose worker died nothing is known") {
  ProcessPool pool{1};
  const auto measured = pool.with({.measure = true});
  Future<void> thrown = measured.submit([] {
    burn(30ms);
    throw std::runtime_error("after much work");
  });
  CHECK(thrown.usage().cpu_time >= 25ms);
  CHECK_THROWS_WITH(thrown.get(), "after much work");
  Future<void> dead = measured.submit([] { ::raise(SIGKILL); });
  CHECK(dead.usage().cpu_time == 0ns);
  CHECK(dead.usage().peak_memory == 0);
}

TEST_CASE("a death tells the peak of the worker's whole life, though a measured task has counted it anew") {
  constexpr std::size_t much = std::size_t{100} << 20;
  ProcessPool pool{1};
  const auto peak_of_dead = [&] {
    try {
      pool.submit([] { ::raise(SIGKILL); }).get();
    } catch (const WorkerDied& death) {
      return death.peak_memory();
    }
    FAIL("the worker lives");
    return std::size_t{0};
  };
  CHECK(pool.submit(fill, much).get() == much);
  for (int i = 0; i < 2; ++i) CHECK(pool.with({.measure = true}).submit(fill, std::size_t{1}).get() == 1);
  CHECK(peak_of_dead() >= much);
  CHECK(pool.with({.measure = true}).submit(fill, std::size_t{1}).get() == 1);
  CHECK(peak_of_dead() < much);  // Its successor has a life of its own.
}

TEST_CASE("usage() of a task that was not measured is a mistake that says what to do") {
  ProcessPool pool{1};
  Future<int> plain = pool.submit(burn, 0ns);
  CHECK_THROWS_AS(plain.usage(), UsageError);
  CHECK_THROWS_WITH(plain.usage(), Catch::Matchers::Contains(".measure = true"));
  CHECK(plain.get() >= 0);
  CHECK_THROWS_AS(plain.usage(), UsageError);
}

TEST_CASE("of a map or a continuation no usage is kept, and usage() says so") {
  ProcessPool pool{1};
  const auto measured = pool.with({.measure = true});
  const auto says_so = Catch::Matchers::Contains("not of a map or a continuation");
  Future<std::vector<int>> mapped = measured.map_async(burn, std::vector(2, std::chrono::nanoseconds(0)));
  CHECK_THROWS_WITH(mapped.usage(), says_so);
  CHECK(mapped.get().size() == 2);
  Future<int> continued = measured.submit(burn, 0ns).then([](int turns) { return turns; });
  CHECK_THROWS_WITH(continued.usage(), says_so);
  CHECK(continued.get() >= 0);
}
