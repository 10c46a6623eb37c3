// SPDX-License-Identifier: BSL-1.0

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <procpool/future/outcome.hpp>

#include "../../support/catch.hpp"

using procpool::Outcome;

namespace {

const std::exception_ptr failed = std::make_exception_ptr(std::range_error("too far"));

struct NoDefault {
  explicit NoDefault(int n) : number(n) {}
  int number;
};

}  // namespace

TEST_CASE("an outcome with a value gives it and has no exception") {
  Outcome<std::string> outcome("yes", 7);
  CHECK(outcome.has_value());
  CHECK(static_cast<bool>(outcome));
  CHECK(*outcome == "yes");
  CHECK(outcome->size() == 3);
  CHECK(outcome.value() == "yes");
  CHECK(outcome.value_or("no") == "yes");
  CHECK(outcome.exception() == nullptr);
  CHECK(outcome.position() == 7);
  *outcome += "!";
  CHECK(std::as_const(outcome).value() == "yes!");
}

TEST_CASE("an outcome without a value throws what the task ended with, however it is asked") {
  Outcome<NoDefault> outcome = Outcome<NoDefault>::failure(failed, 3);
  CHECK_FALSE(outcome.has_value());
  CHECK_FALSE(static_cast<bool>(outcome));
  CHECK_THROWS_AS(outcome.value(), std::range_error);
  CHECK_THROWS_AS(*outcome, std::range_error);
  CHECK_THROWS_AS(outcome->number, std::range_error);
  CHECK_THROWS_AS(std::move(outcome).value(), std::range_error);
  CHECK(outcome.value_or(NoDefault(5)).number == 5);
  CHECK(outcome.exception() == failed);
  CHECK(outcome.position() == 3);
}

TEST_CASE("an outcome of a task that returns nothing has no value but the end itself") {
  const Outcome<void> good(2);
  CHECK(good.has_value());
  CHECK_NOTHROW(good.value());
  CHECK_NOTHROW(*good);
  CHECK(good.exception() == nullptr);
  CHECK(good.position() == 2);

  const Outcome<void> bad = Outcome<void>::failure(failed);
  CHECK_FALSE(bad);
  CHECK_THROWS_AS(bad.value(), std::range_error);
  CHECK_THROWS_AS(*bad, std::range_error);
  CHECK(bad.exception() == failed);
}

TEST_CASE("an outcome gives a value away that cannot be copied") {
  Outcome<std::unique_ptr<int>> outcome(std::make_unique<int>(4));
  const std::unique_ptr<int> taken = *std::move(outcome);
  CHECK(*taken == 4);
  Outcome<std::unique_ptr<int>> other(std::make_unique<int>(5));
  CHECK(*std::move(other).value_or(nullptr) == 5);
}

TEST_CASE("an exception that is a value is no failure") {
  const Outcome<std::exception_ptr> null(std::exception_ptr{});
  CHECK(null.has_value());
  const Outcome<std::exception_ptr> value(failed);
  CHECK(value.has_value());
  CHECK(value.exception() == nullptr);
  CHECK(*value == failed);
}
