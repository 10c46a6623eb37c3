// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/detail/task/readable_in_place.hpp>
#include <procpool/serial/encoding.hpp>

#include "../../../support/catch.hpp"

using procpool::SerializationError;
using procpool::detail::Encoding;
using procpool::detail::is_readable_in_place;
using procpool::detail::look_at;
using procpool::detail::read_in_place;
using procpool::detail::read_in_place_t;

namespace {

struct Point {
  double x = 0;
  double y = 0;
};
struct Switches {
  std::uint32_t number = 0;
  bool is_on = false;
};
struct alignas(128) Wide {
  std::byte bytes[128] = {};
};
struct Named {
  std::string name;
  int number = 0;
};

/// A value as a worker leaves it in a block.
class Block {
 public:
  template <class T>
  explicit Block(const T& value) {
    Encoding encoding;
    encoding.add(value);
    size_ = encoding.size();
    encoding.write_to(bytes_);
  }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_, size_}; }
  [[nodiscard]] std::byte& operator[](std::size_t at) noexcept { return bytes_[at]; }

 private:
  alignas(64) std::byte bytes_[4096] = {};
  std::size_t size_ = 0;
};

/// The same bytes, at an address that is aligned to `alignment` and to no more.
class Displaced {
 public:
  Displaced(std::span<const std::byte> bytes, std::size_t alignment) : at_(bytes_ + alignment), size_(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), at_);
  }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {at_, size_}; }

 private:
  alignas(128) std::byte bytes_[4096] = {};
  std::byte* at_;
  std::size_t size_;
};

template <class T>
void check_that_damage_is_refused(const T& value) {
  const Block block(value);
  CHECK_THROWS_AS(read_in_place<T>(block.bytes().first(block.bytes().size() - 1)), SerializationError);
  CHECK_THROWS_AS(read_in_place<T>({block.bytes().data(), block.bytes().size() + 1}), SerializationError);
  CHECK_THROWS_AS(read_in_place<T>({}), SerializationError);
  CHECK_THROWS_AS(read_in_place<T>(Displaced(block.bytes(), 1).bytes()), SerializationError);
}

static_assert(is_readable_in_place<std::string> && is_readable_in_place<std::u16string>);
static_assert(is_readable_in_place<std::vector<Point>> && is_readable_in_place<std::array<int, 3>>);
static_assert(is_readable_in_place<int> && is_readable_in_place<Point> && is_readable_in_place<Switches>);
static_assert(!is_readable_in_place<void> && !is_readable_in_place<std::string_view>);
static_assert(!is_readable_in_place<std::span<const int>> && !is_readable_in_place<int*>);
static_assert(!is_readable_in_place<std::vector<std::string>> && !is_readable_in_place<std::vector<bool>>);
static_assert(!is_readable_in_place<std::map<int, int>> && !is_readable_in_place<std::optional<int>>);
static_assert(!is_readable_in_place<Named> && !is_readable_in_place<std::unique_ptr<int>>);
static_assert(!is_readable_in_place<Wide> && !is_readable_in_place<std::vector<Wide>>);
static_assert(std::is_same_v<read_in_place_t<std::string>, std::string_view>);
static_assert(std::is_same_v<read_in_place_t<std::vector<Point>>, std::span<const Point>>);
static_assert(std::is_same_v<read_in_place_t<std::array<int, 3>>, const std::array<int, 3>*>);

}  // namespace

TEST_CASE("what is one piece of plain bytes is read where it lies") {
  const Block text(std::string("in place"));
  CHECK(read_in_place<std::string>(text.bytes()) == "in place");
  CHECK(static_cast<const void*>(read_in_place<std::string>(text.bytes()).data()) == text.bytes().data() + 8);

  const Block points(std::vector<Point>{{1, 2}, {3, 4}});
  const std::span<const Point> view = read_in_place<std::vector<Point>>(points.bytes());
  REQUIRE(view.size() == 2);
  CHECK(view[1].x == 3);
  CHECK(reinterpret_cast<std::uintptr_t>(view.data()) % alignof(Point) == 0);

  const Block array(std::array<int, 3>{7, 8, 9});
  CHECK(read_in_place<std::array<int, 3>>(array.bytes())->back() == 9);
  const Block point(Point{5, 6});
  CHECK(read_in_place<Point>(point.bytes())->y == 6);
  CHECK(read_in_place<std::vector<int>>(Block(std::vector<int>()).bytes()).empty());
}

TEST_CASE("what lies in this process is looked at in the same way") {
  const std::string text = "here";
  CHECK(look_at(text).data() == text.data());
  const std::vector<int> numbers{1, 2, 3};
  CHECK(look_at(numbers).size() == 3);
  const Point point{1, 2};
  CHECK(look_at(point) == &point);
}

TEST_CASE("bytes that are cut off, too many, or misplaced are not read in place") {
  check_that_damage_is_refused(std::u16string(u"text"));
  check_that_damage_is_refused(std::vector<Point>{{1, 2}, {3, 4}});
  check_that_damage_is_refused(std::array<int, 3>{7, 8, 9});
  check_that_damage_is_refused(Point{5, 6});
}

TEST_CASE("a count that is not that of the elements, and a bool that is none, are not read in place") {
  Block numbers(std::vector<int>{1, 2, 3});
  for (const int count : {0, 2, 4, 0xFF}) {
    numbers[0] = static_cast<std::byte>(count);
    CHECK_THROWS_AS(read_in_place<std::vector<int>>(numbers.bytes()), SerializationError);
  }
  Block text(std::string("text"));
  text[text.bytes().size() - 1] = std::byte{'x'};
  CHECK_THROWS_AS(read_in_place<std::string>(text.bytes()), SerializationError);
  Block switches(Switches{1, true});
  CHECK(read_in_place<Switches>(switches.bytes())->is_on);
  switches[offsetof(Switches, is_on)] = std::byte{2};
  CHECK_THROWS_AS(read_in_place<Switches>(switches.bytes()), SerializationError);
  Block flags(std::array<bool, 20>{});
  flags[19] = std::byte{0x80};
  CHECK_THROWS_AS((read_in_place<std::array<bool, 20>>(flags.bytes())), SerializationError);
}
