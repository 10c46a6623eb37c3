// SPDX-License-Identifier: BSL-1.0

#include <string>
#include <type_traits>

#include <procpool/serial/signature.hpp>

#include "../../support/catch.hpp"

using namespace procpool::detail;

namespace {

struct Item {
  int value = 0;
  int plus(int other) const noexcept { return value + other; }
  void set(double) &;
};

struct Counter {
  int operator()(int, const std::string&) &&;
};

struct Overloaded {
  int operator()(int);
  int operator()(double);
};

template <class F, class... P>
constexpr bool takes = std::is_same_v<signature_of<F>, TypeList<P...>>;

[[maybe_unused]] const auto lambda = [](int, const char*) {};
[[maybe_unused]] const auto mutable_lambda = [count = 0](int&&) mutable noexcept { return ++count; };
[[maybe_unused]] const auto generic = [](auto) {};

}  // namespace

TEST_CASE("the parameters of functions, lambdas and function objects are known") {
  STATIC_REQUIRE(takes<void (*)(int, std::string&&), int, std::string&&>);
  STATIC_REQUIRE(takes<int (*)() noexcept>);
  STATIC_REQUIRE(takes<decltype(lambda), int, const char*>);
  STATIC_REQUIRE(takes<decltype(mutable_lambda), int&&>);
  STATIC_REQUIRE(takes<Counter, int, const std::string&>);
}

TEST_CASE("the object of a member pointer is an unknown parameter in front") {
  STATIC_REQUIRE(takes<decltype(&Item::plus), void, int>);
  STATIC_REQUIRE(takes<decltype(&Item::set), void, double>);
  STATIC_REQUIRE(takes<decltype(&Item::value), void>);
}

TEST_CASE("generic and overloaded function objects and C variadics are unknown") {
  STATIC_REQUIRE_FALSE(signature_is_known<decltype(generic)>);
  STATIC_REQUIRE_FALSE(signature_is_known<Overloaded>);
  STATIC_REQUIRE_FALSE(signature_is_known<int (*)(const char*, ...)>);
  STATIC_REQUIRE_FALSE(signature_is_known<int>);
}

TEST_CASE("a parameter that does not exist or is not known is void") {
  STATIC_REQUIRE(std::is_same_v<parameter_t<decltype(lambda), 1>, const char*>);
  STATIC_REQUIRE(std::is_void_v<parameter_t<decltype(lambda), 2>>);
  STATIC_REQUIRE(std::is_void_v<parameter_t<decltype(generic), 0>>);
  STATIC_REQUIRE(std::is_void_v<parameter_t<decltype(&Item::plus), 0>>);
}

TEST_CASE("references to write through are found among the parameters in question only") {
  using List = TypeList<int&, const int&, int&&, void (&)(), double&>;
  STATIC_REQUIRE(has_writable_reference<List, 0, 1>);
  STATIC_REQUIRE_FALSE(has_writable_reference<List, 1, 4>);
  STATIC_REQUIRE(has_writable_reference<List, 1, 5>);
  STATIC_REQUIRE_FALSE(has_writable_reference<UnknownParameters, 0, 9>);
  require_value_parameters<void (*)(Item&, int), 1>();  // the state of the worker comes first
}
