// SPDX-License-Identifier: BSL-1.0

#include <type_traits>

#include <procpool/serial/from_snapshot.hpp>

#include "../../support/catch.hpp"

using namespace procpool;
using namespace procpool::detail;

TEST_CASE("from_snapshot calls what it wraps") {
  int local = 5;
  CHECK(from_snapshot([&local](int value) { return value + local; })(1) == 6);
  auto counter = from_snapshot([calls = 0]() mutable { return ++calls; });
  CHECK(counter() == 1);
  CHECK(counter() == 2);
}

TEST_CASE("from_snapshot has the parameters of what it wraps and is as large") {
  const auto wrapped = from_snapshot([](int, const char*) {});
  STATIC_REQUIRE(std::is_same_v<signature_of<decltype(wrapped)>, TypeList<int, const char*>>);
  STATIC_REQUIRE(std::is_empty_v<decltype(wrapped)>);
  STATIC_REQUIRE_FALSE(std::is_invocable_v<decltype(wrapped), int>);
}
