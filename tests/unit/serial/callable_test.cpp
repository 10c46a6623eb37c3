// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <procpool/serial/callable.hpp>

#include "../../support/catch.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace {

int twice(int value) { return 2 * value; }

struct Item {
  int value = 0;
  int plus(int other) const { return value + other; }
};

struct Polynomial {
  std::vector<double> coefficients;
  double operator()(double x) const {
    double sum = 0;
    for (const double c : coefficients) sum = sum * x + c;
    return sum;
  }
};

class Prefix {
 public:
  Prefix() = default;
  explicit Prefix(std::string text) : text_(std::move(text)) {}
  std::string operator()(const std::string& word) const { return text_ + word; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(text_);
  }

 private:
  std::string text_;
};

struct Empty {
  Empty() = default;
  Empty(const Empty&) {}  // NOLINT(modernize-use-equals-default): not trivially copyable, on purpose
  int operator()() const { return 3; }
};

struct alignas(32) Aligned {
  double values[4] = {1, 2, 3, 4};
  double operator()(int at) const { return values[at]; }
};

/// What arrives in a worker.
template <class F>
F sent(const F& function) {
  require_callable<F>();
  check_captures(function);
  Encoding encoding;
  encode_callable(encoding, function);
  encoding.add(std::string("what follows"));
  std::vector<std::byte> memory(encoding.size() + 64);
  void* place = memory.data();
  std::size_t room = memory.size();
  auto* block = static_cast<std::byte*>(std::align(64, encoding.size(), place, room));
  encoding.write_to(block);
  Decoder decoder(std::span<const std::byte>(block, encoding.size()));
  F arrived = decode_callable<F>(decoder);
  REQUIRE(decoder.next<std::string>() == "what follows");
  return arrived;
}

template <class F>
std::size_t bytes_of(const F& function) {
  Encoding encoding;
  encode_callable(encoding, function);
  return encoding.size();
}

}  // namespace

TEST_CASE("pointers to functions and members arrive") {
  CHECK(sent(&twice)(4) == 8);
  CHECK(std::invoke(sent(&Item::plus), Item{.value = 1}, 2) == 3);
  CHECK(std::invoke(sent(&Item::value), Item{.value = 6}) == 6);
}

TEST_CASE("a captureless lambda arrives without bytes") {
  const auto lambda = [](int value) { return value + 1; };
  CHECK(bytes_of(lambda) == 0);
  CHECK(sent(lambda)(1) == 2);
  CHECK(stateless_callable<decltype(lambda)>()(2) == 3);
  CHECK(bytes_of(std::plus<>{}) == 0);
  CHECK(sent(std::plus<>{})(1, 2) == 3);
  CHECK(sent(Empty{})() == 3);
}

TEST_CASE("closures and function objects that are trivially copyable arrive as their bytes") {
  CHECK(sent([number = 3, real = 0.5](int value) { return value * number + real; })(2) == 6.5);
  CHECK(sent(Aligned{})(3) == 4.0);
  const std::array<int, 200> many = [] {
    std::array<int, 200> result{};
    result[199] = 7;
    return result;
  }();
  CHECK(sent([many](std::size_t at) { return many[at]; })(199) == 7);
  auto counter = sent([calls = 4]() mutable { return ++calls; });
  CHECK(counter() == 5);
}

TEST_CASE("function objects that could be arguments arrive like these") {
  CHECK(sent(Polynomial{{1, 0, 2}})(3) == 11);
  CHECK(sent(Prefix("pre"))("fix") == "prefix");
}

TEST_CASE("a partial arrives with its values, nested ones too") {
  const auto lookup = [](const std::map<std::string, int>& known, std::string_view, const std::string& word) {
    const auto entry = known.find(word);
    return entry == known.end() ? -1 : entry->second;
  };
  const auto inner = partial(lookup, std::map<std::string, int>{{"a", 5}});
  CHECK(sent(partial(inner, "text"))("a") == 5);
  CHECK(sent(partial(inner, std::string(1000, 'x')))("b") == -1);
  CHECK(sent(partial(Prefix("p"), "q"))() == "pq");
  CHECK(sent(partial(&Item::plus, Item{.value = 1}))(2) == 3);
}

TEST_CASE("what was captured by reference is refused, also within a partial, but not from a snapshot") {
  int local = 1;
  const auto by_reference = [&local](int value) { return value + local; };
  CHECK_THROWS_AS(check_captures(by_reference), UsageError);
  CHECK_THROWS_AS(check_captures(partial(by_reference, 1)), UsageError);
  CHECK_NOTHROW(check_captures(from_snapshot(by_reference)));
  CHECK_NOTHROW(check_captures(partial(from_snapshot(by_reference), 1)));
  CHECK(sent(from_snapshot(by_reference))(1) == 2);
}

TEST_CASE("a lambda of numbers still is known to hold no address when it has been kept in an optional") {
  const auto padded = [letter = 'a', real = 1.0] { return letter + real; };
  using Padded = std::remove_const_t<decltype(padded)>;
  require_callable<Padded>();
  const std::optional<Padded> kept(padded);
  CHECK(sent(*kept)() == padded());
  STATIC_REQUIRE(holds_no_address<Padded>);
}

TEST_CASE("a null function is refused") {
  CHECK_THROWS_AS(check_captures(static_cast<int (*)(int)>(nullptr)), UsageError);
  CHECK_THROWS_AS(check_captures(static_cast<int Item::*>(nullptr)), UsageError);
  CHECK_THROWS_AS(check_captures(partial(static_cast<int (*)(int)>(nullptr), 1)), UsageError);
}

TEST_CASE("the code of a pointer to a function can be asked for") {
  const auto* code = reinterpret_cast<const void*>(&twice);
  CHECK(code_address(&twice) == code);
  CHECK(code_address(partial(&twice, 1)) == code);
  CHECK(code_address(from_snapshot(&twice)) == code);
  CHECK(code_address([](int) {}) == nullptr);
  CHECK(code_address(&Item::plus) == nullptr);
}

TEST_CASE("what cannot be sent is known before it is refused") {
  const auto with_text = [text = std::string("x")] { return text.size(); };
  STATIC_REQUIRE_FALSE(callable_crosses<std::remove_const_t<decltype(with_text)>>);
  STATIC_REQUIRE_FALSE(callable_crosses<std::function<void()>>);
  STATIC_REQUIRE_FALSE(callable_crosses<decltype(std::bind_front(twice, 1))>);
  STATIC_REQUIRE_FALSE(callable_crosses<decltype(std::bind(twice, 1))>);
  STATIC_REQUIRE_FALSE(callable_crosses<std::reference_wrapper<int(int)>>);
  STATIC_REQUIRE_FALSE(callable_crosses<Partial<int (*)(int), int*>>);
  STATIC_REQUIRE(callable_crosses<Partial<int (*)(int), int>>);
  STATIC_REQUIRE(callable_crosses<int (*)(int)>);
}

TEST_CASE("a damaged callable is a SerializationError") {
  Encoding encoding;
  const auto function = partial([](const std::string& text, int) { return text; }, "some text");
  encode_callable(encoding, function);
  alignas(64) std::array<std::byte, 256> block{};
  encoding.write_to(block.data());
  for (std::size_t size = 0; size < encoding.size(); ++size) {
    Decoder decoder(std::span<const std::byte>(block.data(), size));
    CHECK_THROWS_AS(decode_callable<std::remove_const_t<decltype(function)>>(decoder), SerializationError);
  }
}
