// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include <procpool/serial/arrival.hpp>
#include <procpool/serial/decoder.hpp>
#include <procpool/serial/encoding.hpp>

#include "../../support/catch.hpp"
#include "round_trip.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace {

// What this thread asks of operator new.
struct Allocations {
  std::size_t count = 0;
  std::size_t bytes = 0;
};
thread_local Allocations allocations;

}  // namespace

// Not inlined, or GCC would warn of a free() for what came from an operator new.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations.count;
  allocations.bytes += size;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size == 0 ? 1 : size);
}
void* operator new[](std::size_t size) { return ::operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { ::operator delete(memory); }
void operator delete[](void* memory) noexcept { ::operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { ::operator delete(memory); }

namespace {

enum class Color : char { red, blue };

struct Record {
  char name[8];
  bool good;
  Color color;
  double mean;
};
struct Tree {
  int value = 0;
  std::vector<Tree> children;
};
struct Node {
  int value = 0;
  std::unique_ptr<Node> next;
};
struct Serialized {
  std::string text;
  std::set<char> letters;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(text, letters);
  }
};
struct Silent {  // takes no bytes
  std::array<char, 16> left_behind{};
  template <class Archive>
  void serialize(Archive&) {}
};

struct Everything {
  std::string text;
  std::vector<Record> records;
  std::vector<std::string> lines;
  std::vector<bool> flags;
  std::deque<short> numbers;
  std::list<Silent> silent;
  std::map<std::string, std::vector<int>> map;
  std::unordered_map<int, std::string> hashed;
  std::unordered_set<std::string> words;
  std::multimap<char, bool> letters;
  std::optional<Record> maybe;
  std::variant<int, std::string, Record> either;
  std::shared_ptr<std::string> shared;
  std::shared_ptr<int> counted;
  std::shared_ptr<std::string> shared_again;
  std::unique_ptr<Serialized> owned;
  Tree tree;
  std::tuple<std::string, std::pair<int, Color>> tuple;
  std::string names[2];
};

Everything everything() {
  const auto shared = std::make_shared<std::string>("shared");
  return {.text = "text",
          .records = {{"first", true, Color::red, 1.5}, {"second", false, Color::blue, 2.5}},
          .lines = {"a", "", "ccc"},
          .flags = {true, false, true},
          .numbers = {1, 2, 3},
          .silent = std::list<Silent>(40),
          .map = {{"one", {1}}, {"none", {}}},
          .hashed = {{1, "one"}, {2, "two"}},
          .words = {"x", "y"},
          .letters = {{'a', true}, {'a', false}},
          .maybe = Record{"maybe", true, Color::red, 3.5},
          .either = "either",
          .shared = shared,
          .counted = std::make_shared<int>(4),
          .shared_again = shared,
          .owned = std::make_unique<Serialized>(Serialized{"user's", {'a', 'b'}}),
          .tree = Tree{1, {{2, {}}, {3, {{4, {}}}}}},
          .tuple = {"tuple", {1, Color::blue}},
          .names = {"left", "right"}};
}

// A few views and flat values, and the value above.
void add_all(Encoding& encoding, const Everything& all, const std::vector<double>& doubles) {
  encoding.add(7);
  encoding.add(std::string_view("view"));
  encoding.add(doubles);
  encoding.add("literal");
  encoding.add(Record{"record", true, Color::red, 0});
  encoding.add(std::array<bool, 3>{true, false, true});
  encoding.add(all);
  encoding.add(doubles);
}

// Reads it, and uses what it reads, so that a sanitizer sees what is wrong with it.
std::size_t read_all(std::span<const std::byte> block) {
  Decoder decoder(block);
  std::size_t seen = static_cast<std::size_t>(decoder.next<int>());
  for (const char letter : decoder.next<std::string_view>()) seen += static_cast<unsigned char>(letter);
  for (const double value : arrive<std::vector<double>, std::span<const double>>(decoder)) seen += value > 1;
  seen += std::string_view(decoder.next<const char*>()).size();
  seen += decoder.next<Record>().good ? 1 : 0;
  for (const bool flag : decoder.next<std::array<bool, 3>>()) seen += flag ? 1 : 0;
  const auto all = decoder.next<Everything>();
  for (const Record& record : all.records) seen += record.good ? 1 : 0;
  for (const auto& [letter, flag] : all.letters) seen += flag ? 1 : 0;
  seen += std::visit([](const auto& value) { return sizeof value; }, all.either);
  if (all.shared_again) seen += all.shared_again->size();
  if (all.counted) seen += *all.counted > 3;
  seen += decoder.next<std::vector<double>>().size();
  return seen;
}

// What is damaged is refused, or is another value; nothing else happens, and no more is allocated than the block can
// justify: a byte of it may stand for a node of a container or an element of a small class.
void check_damaged(std::span<const std::byte> bytes, const char* how, std::size_t at) {
  allocations = {};
  bool as_it_should = true;
  try {
    static_cast<void>(read_all(bytes));
  } catch (const SerializationError&) {
  } catch (...) {
    as_it_should = false;
  }
  const std::size_t allocated = allocations.bytes;
  if (!as_it_should || allocated > 128 * bytes.size() + 4096) {
    INFO(how << " at " << at << ", " << allocated << " bytes allocated for a block of " << bytes.size());
    CHECK(as_it_should);
    CHECK(allocated <= 128 * bytes.size() + 4096);
  }
}

}  // namespace

TEST_CASE("a block that is cut off anywhere is refused and allocates little") {
  const Everything all = everything();
  const std::vector<double> doubles(50, 1.5);
  Encoding encoding;
  add_all(encoding, all, doubles);
  const Block whole(encoding);
  CHECK(read_all(whole.bytes()) > 7);
  for (std::size_t size = 0; size < whole.bytes().size(); ++size) {
    const Block cut(whole.bytes().first(size));
    CHECK_THROWS_AS(read_all(cut.bytes()), SerializationError);
    check_damaged(cut.bytes(), "cut off", size);
  }
}

TEST_CASE("a block with any byte damaged is refused or read as something else") {
  const Everything all = everything();
  const std::vector<double> doubles(50, 1.5);
  Encoding encoding;
  add_all(encoding, all, doubles);
  Block block(encoding);
  for (std::size_t at = 0; at < block.bytes().size(); ++at) {
    const std::byte before = block[at];
    for (const std::byte other : {std::byte{0}, std::byte{0xff}, before ^ std::byte{1}, before ^ std::byte{0x80}}) {
      block[at] = other;
      check_damaged(block.bytes(), "damaged", at);
    }
    block[at] = before;
  }
  CHECK(read_all(block.bytes()) > 7);
}

TEST_CASE("a block with many bytes damaged is refused or read as something else") {
  const Everything all = everything();
  const std::vector<double> doubles(50, 1.5);
  Encoding encoding;
  add_all(encoding, all, doubles);
  const Block whole(encoding);
  std::mt19937 random(4711);
  for (std::size_t round = 0; round < 2000; ++round) {
    Block block(whole.bytes());
    for (std::size_t i = 0; i < 1 + round % 8; ++i) {
      block[random() % block.bytes().size()] =
          static_cast<std::byte>(random() % 4 == 0 ? random() % 256 : random() % 3);
    }
    check_damaged(block.bytes(), "damaged in round", round);
  }
}

TEST_CASE("a count of large elements allocates no more than their bytes justify") {
  using Large = std::array<std::string, 100>;
  static_assert(sizeof(Large) == 3200);
  const std::vector<std::uint64_t> counts(1000, 900);  // of elements, then of the letters of each string
  InputArchive archive(std::as_bytes(std::span(counts)));
  allocations = {};
  CHECK_THROWS_AS(load_as<std::vector<Large>>(archive), SerializationError);
  CHECK(allocations.bytes < 4 * counts.size() * sizeof(std::uint64_t));
}

TEST_CASE("bytes that describe a value deeper than the stack are refused") {
  const std::vector<std::byte> ones(std::size_t{8} << 20, std::byte{1});
  InputArchive list(ones);
  CHECK_THROWS_AS(load_as<Node>(list), SerializationError);

  struct [[gnu::packed]] OneChild {
    int value;
    std::uint64_t children;
  };
  const std::vector<OneChild> chain(std::size_t{1} << 20, OneChild{0, 1});
  InputArchive tree(std::as_bytes(std::span(chain)));
  CHECK_THROWS_AS(load_as<Tree>(tree), SerializationError);
}

TEST_CASE("an encoding that is used again allocates nothing for what it holds itself") {
  const std::string text(100, 'x');
  const std::vector<double> doubles(1000, 1.5);
  const std::vector<std::string> lines(20, text);
  const std::map<std::string, int> words = {{"a", 1}, {"b", 2}};
  Encoding encoding;
  const auto fill = [&] {
    encoding.clear();
    encoding.add(7);
    encoding.add(text);
    encoding.add(doubles);
    encoding.add(lines);
    encoding.add(words);
    encoding.add(Record{});
  };
  fill();
  allocations = {};
  for (int i = 0; i < 100; ++i) fill();
  CHECK(allocations.count == 0);
}

TEST_CASE("views and flat values are read without an allocation") {
  Encoding encoding;
  encoding.add(7);
  encoding.add(std::string(100, 'x'));
  encoding.add(std::vector<double>(100));
  encoding.add(Record{"record", true, Color::red, 1});
  const Block block(encoding);
  allocations = {};
  Decoder decoder(block.bytes());
  static_cast<void>(decoder.next<int>());
  static_cast<void>(arrive<std::string, std::string_view>(decoder));
  static_cast<void>(arrive<std::vector<double>, std::span<const double>>(decoder));
  static_cast<void>(decoder.next<Record>());
  const std::size_t count = allocations.count;
  CHECK(count == 0);
  CHECK(decoder.finished());
}
