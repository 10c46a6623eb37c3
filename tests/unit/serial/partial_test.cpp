// SPDX-License-Identifier: BSL-1.0

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/serial/partial.hpp>

#include "../../support/catch.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace {

int subtract(int from, int what) { return from - what; }

struct Scale {
  int factor = 1;
  int apply(int value) const { return factor * value; }
};

}  // namespace

TEST_CASE("a partial passes its values first") {
  CHECK(partial(subtract, 10)(3) == 7);
  CHECK(partial(subtract, 10, 4)() == 6);
  CHECK(partial(subtract)(1, 2) == -1);
}

TEST_CASE("a partial of a member function binds the object") {
  CHECK(partial(&Scale::apply, Scale{.factor = 3})(5) == 15);
  CHECK(partial(&Scale::factor, Scale{.factor = 4})() == 4);
}

TEST_CASE("partials nest") {
  const auto join = [](std::string_view a, std::string_view b, std::string_view c) {
    return std::string(a) + std::string(b) + std::string(c);
  };
  CHECK(partial(partial(join, "a"), "b")("c") == "abc");
}

TEST_CASE("a partial gives its values as const lvalues, call after call") {
  const auto counting =
      partial([](const std::map<std::string, int>& known, const std::string& word) { return known.count(word); },
              std::map<std::string, int>{{"a", 1}});
  CHECK(counting("a") == 1);
  CHECK(counting("a") == 1);
  const auto by_value = partial([](std::string text) { return text; }, std::string(100, 'x'));
  CHECK(by_value() == by_value());
  const auto owner = partial([](const std::unique_ptr<int>& value) { return *value; }, std::make_unique<int>(3));
  CHECK(owner() == 3);
}

TEST_CASE("a partial keeps text and views as copies of their contents") {
  char buffer[] = "first";
  int numbers[] = {1, 2, 3};
  const auto text = partial([](std::string_view kept) { return std::string(kept); }, static_cast<const char*>(buffer));
  const auto view = partial([](std::string_view kept) { return std::string(kept); }, std::string_view(buffer));
  const auto span = partial([](std::span<const int> kept) { return kept[0]; }, std::span(numbers));
  const auto array = partial([](std::span<const int> kept) { return kept[2]; }, numbers);
  buffer[0] = 'w';
  numbers[0] = numbers[2] = 7;
  CHECK(text() == "first");
  CHECK(view() == "first");
  CHECK(span() == 1);
  CHECK(array() == 3);
}

TEST_CASE("a function that takes a const char* gets the characters of a bound text") {
  CHECK(partial([](const char* text, int at) { return text[at]; }, "abc")(1) == 'b');
  CHECK(partial([](const char* text, int at) { return text[at]; }, std::string("abc"))(2) == 'c');
}

TEST_CASE("a partial changes the state of a mutable function, and is not callable where that is const") {
  auto counter = partial([calls = 0](int step) mutable { return calls += step; }, 2);
  CHECK(counter() == 2);
  CHECK(counter() == 4);
  STATIC_REQUIRE_FALSE(std::is_invocable_v<const decltype(counter)&>);
}

TEST_CASE("the parameters of a partial are those that are left") {
  const auto function = partial([](int, std::string_view, double&&) {}, 1);
  using Function = std::remove_const_t<decltype(function)>;
  STATIC_REQUIRE(std::is_same_v<signature_of<Function>, TypeList<std::string_view, double&&>>);
  STATIC_REQUIRE(std::is_same_v<parameter_t<decltype(partial(function, "x")), 0>, double&&>);
  STATIC_REQUIRE(std::is_invocable_v<const Function&, const char*, double>);
  STATIC_REQUIRE_FALSE(std::is_invocable_v<const Function&, int, double>);
  STATIC_REQUIRE_FALSE(signature_is_known<decltype(partial([](auto) {}, 1))>);
}
