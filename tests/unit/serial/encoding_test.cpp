// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <procpool/serial/encoding.hpp>

#include "../../support/catch.hpp"
#include "round_trip.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace {

template <class T>
std::size_t size_of_encoded(const T& value) {
  Encoding encoding;
  encoding.add(value);
  return encoding.size();
}

struct Refuses {
  int answer = 0;
  template <class Archive>
  void save(Archive& archive) const {
    archive(std::string(500, 'x'));
    if (answer == 42) throw std::domain_error("not this one");
  }
  template <class Archive>
  void load(Archive& archive) {
    std::string text;
    archive(text);
  }
};

}  // namespace

TEST_CASE("values are laid out without a byte too many") {
  CHECK(size_of_encoded(5) == 4);
  CHECK(size_of_encoded(std::array<double, 3>{}) == 24);
  CHECK(size_of_encoded("text") == 8 + 5);
  CHECK(size_of_encoded(std::string("text")) == 8 + 5);
  CHECK(size_of_encoded(std::string_view("text")) == 8 + 5);
  CHECK(size_of_encoded(std::vector<int>{1, 2}) == 8 + 8);
  CHECK(size_of_encoded(std::vector<std::string>{"a"}) == 8 + 8 + 8 + 1);

  Encoding encoding;
  CHECK(encoding.size() == 0);
  encoding.add('x');
  encoding.add(2.5);  // flat values are copied out, so they need no alignment
  CHECK(encoding.size() == 9);
  encoding.add(std::vector<double>{1});  // the count at 9, the element at 24
  CHECK(encoding.size() == 32);
}

TEST_CASE("text stops at its terminator, at the end of its array, or is null") {
  Encoding encoding;
  encoding.add("ab\0cd");
  const char unterminated[3] = {'a', 'b', 'c'};
  encoding.add(unterminated);
  const char* none = nullptr;
  encoding.add(none);
  encoding.add(L"wide");
  const Block block(encoding);
  Decoder decoder(block.bytes());
  CHECK(decoder.next<const char*>() == std::string("ab"));
  CHECK(decoder.next<const char*>() == std::string("abc"));
  CHECK(decoder.next<const char*>() == nullptr);
  CHECK(decoder.next<const wchar_t*>() == std::wstring(L"wide"));
  CHECK(decoder.finished());
}

TEST_CASE("large contiguous data is copied when the block is written, small data when it is added") {
  std::vector<int> large(64, 1);
  std::vector<int> small(63, 1);
  std::string text(256, 'a');
  Encoding encoding;
  encoding.add('x');
  encoding.add(large);
  encoding.add(small);
  encoding.add(text);
  const std::span<const int> view(large);
  encoding.add(view);
  large[3] = 2;
  small[3] = 2;
  text[3] = 'b';
  const Block block(encoding);
  Decoder decoder(block.bytes());
  CHECK(decoder.next<char>() == 'x');
  CHECK(decoder.next<std::vector<int>>()[3] == 2);
  CHECK(decoder.next<std::vector<int>>()[3] == 1);
  CHECK(decoder.next<std::string>() == text);
  CHECK(decoder.next<std::span<const int>>()[3] == 2);
  CHECK(decoder.finished());
}

TEST_CASE("a temporary is copied at once, however large") {
  Encoding encoding;
  encoding.add(std::string(10'000, 'x'));
  encoding.add(std::vector<double>(10'000, 1.5));
  std::string owned(10'000, 'y');
  encoding.add_owned(owned);
  owned.assign(10'000, 'z');
  const Block block(encoding);
  Decoder decoder(block.bytes());
  CHECK(decoder.next<std::string>() == std::string(10'000, 'x'));
  CHECK(decoder.next<std::vector<double>>() == std::vector<double>(10'000, 1.5));
  CHECK(decoder.next<std::string>() == std::string(10'000, 'y'));
}

TEST_CASE("a value is consumed when it is given away, and kept otherwise") {
  Encoding encoding;
  auto kept = std::make_unique<int>(1);
  encoding.add(kept);
  CHECK(kept != nullptr);
  auto given = std::make_unique<int>(2);
  encoding.add_owned(std::move(given));
  CHECK(given == nullptr);  // NOLINT(bugprone-use-after-move): that it was moved from is the question
  std::vector<std::unique_ptr<int>> many(3);
  encoding.add(std::move(many));
  CHECK(many.empty());  // NOLINT(bugprone-use-after-move): as above
}

TEST_CASE("what cannot be encoded leaves no trace") {
  Encoding encoding;
  const std::vector<int> large(100, 7);
  encoding.add(large);
  const std::size_t before = encoding.size();
  CHECK_THROWS_AS(encoding.add(Refuses{42}), std::domain_error);
  CHECK(encoding.size() == before);
  encoding.add(5);
  const Block block(encoding);
  Decoder decoder(block.bytes());
  CHECK(decoder.next<std::vector<int>>() == large);
  CHECK(decoder.next<int>() == 5);
  CHECK(decoder.finished());
}

TEST_CASE("each item of a chunk is read alone, from its mark") {
  const std::list<std::string> items = {"first", std::string(1000, 'x'), "", "last"};
  Encoding encoding;
  std::vector<std::size_t> marks;
  for (const std::string& item : items) {
    marks.push_back(encoding.mark());
    encode_value(encoding, item);
    encode_value(encoding, std::vector<double>(item.size(), 0.5));
  }
  const Block block(encoding);
  for (std::size_t i = items.size(); i-- > 0;) {
    Decoder decoder(block.bytes(), marks[i]);
    const auto& item = *std::next(items.begin(), static_cast<std::ptrdiff_t>(i));
    CHECK(decoder.next<std::string>() == item);
    CHECK(decoder.next<std::span<const double>>().size() == item.size());
  }
}

TEST_CASE("a cleared encoding starts anew") {
  Encoding encoding;
  const std::string large(1000, 'x');
  encoding.add(large);
  encoding.add(std::vector<std::string>{"a"});
  encoding.clear();
  CHECK(encoding.size() == 0);
  encoding.add(std::string("text"));
  const Block block(encoding);
  CHECK(decode_value<std::string>(block.bytes()) == "text");
}
