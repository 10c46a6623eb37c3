// SPDX-License-Identifier: BSL-1.0

#include <cstddef>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"

using procpool::Future;
using procpool::ProcessPool;

TEST_CASE("a million futures can be held before the first is taken") {
  constexpr int count = 1'000'000;
  ProcessPool pool{2};
  std::vector<Future<int>> futures;
  futures.reserve(count);
  for (int i = 0; i < count; ++i) futures.push_back(pool.submit([](int x) { return x; }, i));
  pool.wait_idle();
  int right = 0;
  for (int i = 0; i < count; ++i) right += futures[static_cast<std::size_t>(i)].get() == i;
  CHECK(right == count);
  CHECK(pool.stats().submitted == count);
}

TEST_CASE("a hundred thousand results that were dropped leave room for as many more") {
  ProcessPool pool{{.workers = 2, .shared_memory = std::size_t{32} << 20}};
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100'000; ++i) static_cast<void>(pool.submit([](int x) { return x; }, i));
  }
  pool.wait_idle();
  CHECK(pool.stats().submitted == 200'000);
}
