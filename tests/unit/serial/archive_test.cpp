// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include <procpool/serial/archive.hpp>

#include "../../support/catch.hpp"
#include "round_trip.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace {

enum class Color : char { red, blue };

struct Record {
  char name[8];
  int scores[2][2];
  bool good;
  Color color;
  bool operator==(const Record&) const = default;
};
struct Owning {
  std::string name;
  std::vector<Record> records;
  std::string lines[2];
  std::optional<double> maybe;
  bool operator==(const Owning&) const = default;
};
struct Tree {
  int value;
  std::vector<Tree> children;
  bool operator==(const Tree&) const = default;
};
struct Node {
  int value;
  std::unique_ptr<Node> next;
};
struct Cycle {
  std::string name;
  std::shared_ptr<Cycle> other;
  std::weak_ptr<Cycle> back;
};
struct Bits {
  unsigned low : 3;
  unsigned high : 5;
};
struct WithConstant {
  std::string text;
  struct Constant {
    const int fixed;
  } constant;
};
struct Empty {
  bool operator==(const Empty&) const = default;
};
// Takes no bytes at all: its functions write none.
struct Silent {
  std::string left_behind;
  template <class Archive>
  void serialize(Archive&) {}
};
class Point {
 public:
  Point(double x, double y) : x_(x), y_(y) {}
  bool operator==(const Point&) const = default;

 private:
  double x_, y_;
};
struct ThrowsWhenCopied {
  ThrowsWhenCopied() = default;
  ThrowsWhenCopied(const ThrowsWhenCopied&) { throw std::runtime_error("no copy"); }
  ThrowsWhenCopied& operator=(const ThrowsWhenCopied&) = default;
  template <class Archive>
  void serialize(Archive&) {}
};
struct Thrower {
  template <class Archive>
  void save(Archive&) const {}
  template <class Archive>
  void load(Archive&) {
    throw std::out_of_range("from load");
  }
};

template <class T>
void check_round_trip(const T& value) {
  CHECK(round_trip(value) == value);
  CHECK(round_trip(std::vector<T>{value, value}) == std::vector<T>{value, value});
  CHECK(round_trip(std::optional<T>(std::in_place, value)).value() == value);
}

}  // namespace

TEST_CASE("numbers and enumerations arrive as they were sent") {
  check_round_trip(std::numeric_limits<std::int64_t>::min());
  check_round_trip(1.25L);
  check_round_trip('x');
  check_round_trip(Color::blue);
  check_round_trip(std::byte{7});
  CHECK(round_trip(true));
  CHECK_FALSE(round_trip(false));
}

TEST_CASE("standard containers arrive as they were sent") {
  check_round_trip(std::string("text\0with a zero", 16));
  check_round_trip(std::u32string(U"text"));
  check_round_trip(std::vector<int>{1, 2, 3});
  check_round_trip(std::vector<bool>{true, false, true});
  check_round_trip(std::vector<std::string>{"a", "", std::string(1000, 'b')});
  check_round_trip(std::deque<std::string>{"a", "b"});
  check_round_trip(std::list<int>{3, 2, 1});
  check_round_trip(std::set<std::string>{"a", "b"});
  check_round_trip(std::set<int, std::greater<>>{1, 2, 3});
  check_round_trip(std::multiset<int>{1, 1, 2});
  check_round_trip(std::unordered_set<int>{1, 2, 3});
  check_round_trip(std::unordered_multiset<int>{1, 1, 2});
  check_round_trip(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
  check_round_trip(std::multimap<int, std::string>{{1, "a"}, {1, "b"}, {2, "c"}});
  check_round_trip(std::unordered_map<std::string, double>{{"a", 1}, {"b", 2}});
  check_round_trip(std::unordered_multimap<int, int>{{1, 1}, {1, 2}});
  check_round_trip(std::vector<std::vector<std::vector<int>>>{{{1}, {}}, {}});
}

TEST_CASE("standard values of fixed parts arrive as they were sent") {
  check_round_trip(std::pair<int, std::string>{1, "a"});
  check_round_trip(std::tuple<int, std::string, std::vector<double>>{1, "a", {2.5}});
  check_round_trip(std::tuple<>());
  check_round_trip(std::array<int, 3>{1, 2, 3});
  check_round_trip(std::array<std::string, 2>{"a", "b"});
  check_round_trip(std::optional<std::string>());
  check_round_trip(std::variant<int, std::string, double>("text"));
  check_round_trip(std::variant<std::monostate, int>());
  check_round_trip(std::variant<int, int>(std::in_place_index<1>, 4));
  check_round_trip(std::chrono::milliseconds(1500));
  check_round_trip(std::chrono::system_clock::time_point(std::chrono::seconds(99)));
  check_round_trip(std::complex<double>(1, -2));
  check_round_trip(std::bitset<70>("1011"));
}

TEST_CASE("a path is no range of paths, and a directory entry is its path") {
  check_round_trip(std::filesystem::path("/usr/include/c++"));
  check_round_trip(std::filesystem::path());
  CHECK(round_trip(std::filesystem::directory_entry("/usr/include")).is_directory());
  const std::filesystem::directory_entry gone{};
  CHECK(round_trip(gone) == gone);
  CHECK(round_trip(std::vector<std::filesystem::directory_entry>(2)).size() == 2);
}

TEST_CASE("plain structs cross without a word, also in containers and in themselves") {
  const Record record{"record", {{1, 2}, {3, 4}}, true, Color::blue};
  check_round_trip(record);
  check_round_trip(Owning{"name", {record, record}, {"first", "second"}, 1.5});
  check_round_trip(Owning{});
  check_round_trip(Tree{1, {{2, {}}, {3, {{4, {}}}}}});
  check_round_trip(std::map<std::string, Owning>{{"a", {"name", {record}, {}, {}}}});
  check_round_trip(Empty{});
  CHECK(round_trip(Bits{5, 17}).high == 17);
  CHECK(round_trip(WithConstant{"text", {5}}).constant.fixed == 5);
}

TEST_CASE("a flat class needs no default constructor") {
  check_round_trip(Point(1, 2));
  CHECK(round_trip(std::map<int, Point>{{1, Point(2, 3)}}).at(1) == Point(2, 3));
  CHECK(*round_trip(std::shared_ptr<Point>(std::make_shared<Point>(4, 5))) == Point(4, 5));
}

TEST_CASE("elements that take no bytes arrive in their number") {
  CHECK(round_trip(std::vector<Silent>(1000)).size() == 1000);
  CHECK(round_trip(std::pair<std::list<Silent>, int>{std::list<Silent>(99), 7}).second == 7);
  CHECK(round_trip(std::vector<Empty>(1000)).size() == 1000);
}

TEST_CASE("smart pointers arrive with what they own") {
  Encoding encoding;
  encoding.add_owned(std::make_unique<const std::string>("owned"));
  encoding.add_owned(std::unique_ptr<int>());
  encoding.add_owned(std::vector<std::unique_ptr<int>>(3));
  encoding.add_owned(Node{1, std::make_unique<Node>(Node{2, nullptr})});
  const Block block(encoding);
  Decoder decoder(block.bytes());
  CHECK(*decoder.next<std::unique_ptr<const std::string>>() == "owned");
  CHECK(decoder.next<std::unique_ptr<int>>() == nullptr);
  CHECK(decoder.next<std::vector<std::unique_ptr<int>>>().size() == 3);
  CHECK(decoder.next<Node>().next->value == 2);
  CHECK(decoder.finished());
}

TEST_CASE("what shared pointers share in one value stays shared") {
  const auto text = std::make_shared<std::string>("shared");
  const auto arrived = round_trip(std::vector{text, text, std::make_shared<std::string>("other"), {}});
  CHECK(arrived[0] == arrived[1]);
  CHECK(*arrived[0] == "shared");
  CHECK(*arrived[2] == "other");
  CHECK(arrived[3] == nullptr);

  const auto first = std::make_shared<Cycle>(Cycle{"first", {}, {}});
  first->other = std::make_shared<Cycle>(Cycle{"second", {}, first});
  const auto circle = round_trip(first);
  CHECK(circle->other->name == "second");
  CHECK(circle->other->back.lock() == circle);
}

TEST_CASE("two objects at one address stay two objects") {
  struct Outer {
    int first;
    int second;
  };
  const auto outer = std::make_shared<Outer>(Outer{1, 2});
  const std::shared_ptr<int> inner(outer, &outer->first);
  const auto arrived = round_trip(std::pair{outer, inner});
  CHECK(arrived.first->second == 2);
  CHECK(*arrived.second == 1);
}

TEST_CASE("a variant without a value is refused by name") {
  std::variant<int, ThrowsWhenCopied> variant;
  const ThrowsWhenCopied value;
  CHECK_THROWS_AS(variant.emplace<1>(value), std::runtime_error);
  Encoding encoding;
  CHECK_THROWS_AS(encoding.add(variant), SerializationError);
}

TEST_CASE("an index that no alternative of a variant has is refused") {
  for (const std::uint32_t index : {3U, ~0U}) {
    OutputArchive out;
    out(index, 1.5, 1.5);
    InputArchive in(out.bytes());
    std::variant<int, std::string, double> variant;
    CHECK_THROWS_AS(in(variant), SerializationError);
  }
}

TEST_CASE("a shared object is refused that was not read before, or is of another type") {
  OutputArchive out;
  out(1U, 7, 3U, 7);  // the first object, and one that skips the second
  InputArchive skipping(out.bytes());
  std::shared_ptr<int> first, second;
  skipping(first);
  CHECK(*first == 7);
  CHECK_THROWS_AS(skipping(second), SerializationError);

  OutputArchive same;
  same(1U, 7, 1U);
  InputArchive confusing(same.bytes());
  std::shared_ptr<float> other;
  confusing(first);
  CHECK_THROWS_AS(confusing(other), SerializationError);
}

TEST_CASE("what a load of the user's throws passes through") {
  CHECK_THROWS_AS(round_trip(Thrower()), std::out_of_range);
}

TEST_CASE("a value nested deeper than the stack is an error where it is sent") {
  Tree tree{0, {}};
  for (int i = 1; i < 300'000; ++i) {
    Tree around{i, {}};
    around.children.push_back(std::move(tree));
    tree = std::move(around);
  }
  Encoding encoding;
  CHECK_THROWS_AS(encoding.add(tree), SerializationError);
  CHECK(encoding.size() == 0);
  while (!tree.children.empty()) {  // its destructor would recurse as deep
    Tree inner = std::move(tree.children.front());
    tree = std::move(inner);
  }
}

TEST_CASE("an archive of one's own is read back by another") {
  OutputArchive out;
  out(std::string("text"), 5) << std::vector<int>{1, 2};
  out& Record{"r", {}, true, Color::red};
  out.finish();
  InputArchive in(out.bytes());
  std::string text;
  int number = 0;
  std::vector<int> numbers;
  Record record{};
  in(text, number) >> numbers;
  in& record;
  CHECK(text == "text");
  CHECK(number == 5);
  CHECK(numbers == std::vector<int>{1, 2});
  CHECK(record.good);
  CHECK(in.remaining() == 0);
}
