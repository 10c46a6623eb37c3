// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <procpool/serial/pointer_free.hpp>

#include "../../support/catch.hpp"

using procpool::detail::holds_no_address;

namespace {

enum class Colour { red };

struct Plain {
  int number = 0;
  bool flag = false;
  double weights[4] = {};
};

struct Private {
  constexpr explicit Private(int* pointer) : pointer_(pointer) {}
  [[nodiscard]] constexpr int* pointer() const { return pointer_; }

 private:
  int* pointer_;
};

template <class T>
constexpr bool is_free(const T&) {
  return holds_no_address<T>;
}

}  // namespace

TEST_CASE("a lambda that captured numbers is known to hold no address") {
  const std::chrono::seconds time{1};
  const std::array<short, 5> numbers{};
  CHECK(is_free([number = 1, flag = true, real = 1.0] { return number + real + (flag ? 1 : 0); }));
  CHECK(is_free([time, numbers] { return time.count() + numbers[0]; }));
  CHECK(is_free([colour = Colour::red, plain = Plain{}] { return plain.flag ? 0 : static_cast<int>(colour); }));
}

TEST_CASE("pointers, references, views and unions are seen wherever they are") {
  int number = 1;
  const std::optional<int> maybe;
  CHECK_FALSE(is_free([&number] { return number; }));
  CHECK_FALSE(is_free([pointer = &number] { return *pointer; }));
  CHECK_FALSE(is_free([view = std::string_view("x")] { return view.size(); }));
  CHECK_FALSE(is_free([maybe] { return maybe.value_or(1); }));
  CHECK_FALSE(is_free([inner = [&number] { return number; }] { return inner(); }));
  STATIC_REQUIRE_FALSE(holds_no_address<Private>);
  STATIC_REQUIRE_FALSE(holds_no_address<int Plain::*>);
  STATIC_REQUIRE_FALSE(holds_no_address<std::string>);
}
