// SPDX-License-Identifier: BSL-1.0

#include <functional>
#include <list>
#include <ranges>
#include <stdexcept>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"

using procpool::ProcessPool;
using support::SharedCount;

TEST_CASE("for_each calls the function once for each item and is done when it returns") {
  const SharedCount sum;
  ProcessPool pool{2};
  for (const std::size_t chunk : {0U, 1U, 7U, 1000U}) {
    CAPTURE(chunk);
    *sum = 0;
    pool.with({.chunk_size = chunk}).for_each([sum = sum.get()](int x) { *sum += x; }, std::views::iota(0, 100));
    CHECK(sum->load() == 4950);
  }
}

TEST_CASE("for_each drops what the function returns") {
  const SharedCount calls;
  ProcessPool pool{2};
  pool.for_each([calls = calls.get()](int) { return ++*calls; }, std::vector{1, 2, 3});
  CHECK(calls->load() == 3);
}

TEST_CASE("for_each goes over several ranges side by side, and over none") {
  const SharedCount sum;
  ProcessPool pool{2};
  const auto add_product = [sum = sum.get()](int a, int b) { *sum += a * b; };
  pool.for_each(add_product, std::vector{1, 2, 3}, std::list{10, 100});
  CHECK(sum->load() == 210);
  pool.for_each(add_product, std::vector<int>(), std::list{1});
  CHECK(sum->load() == 210);
}

TEST_CASE("for_each throws the failure of an item, whatever the function would return") {
  ProcessPool pool{2};
  CHECK_THROWS_AS(pool.for_each([](int x) { return x == 2 ? throw std::domain_error("no") : x; }, std::vector{1, 2, 3}),
                  std::domain_error);
  CHECK_THROWS_AS(pool.for_each([](int) { throw std::domain_error("no"); }, std::vector{1, 2, 3}), std::domain_error);
}
