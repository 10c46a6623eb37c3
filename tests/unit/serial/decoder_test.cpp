// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <procpool/serial/decoder.hpp>

#include "../../support/catch.hpp"
#include "../../support/huge_pages.hpp"
#include "../../support/leftovers.hpp"
#include "round_trip.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace {

struct alignas(32) Wide {
  double values[4];
};
struct alignas(128) Page {
  char bytes[128];
};

template <class T>
using next_t = decltype(std::declval<Decoder&>().template next<T>());

static_assert(std::is_same_v<next_t<int>, int>);
static_assert(std::is_same_v<next_t<std::string>, std::string>);
static_assert(std::is_same_v<next_t<std::string_view>, std::string_view>);
static_assert(std::is_same_v<next_t<const char*>, const char*>);
static_assert(std::is_same_v<next_t<std::span<const int>>, std::span<const int>>);
static_assert(std::is_same_v<next_t<std::span<int, 3>>, std::span<const int, 3>>);
static_assert(std::is_same_v<next_t<int[3]>, const int (&)[3]>);
static_assert(std::is_same_v<next_t<double[2][3]>, const double (&)[2][3]>);
static_assert(std::is_same_v<next_t<std::array<int, 3>>, std::array<int, 3>>);

bool lies_in(const void* address, std::span<const std::byte> block) {
  const auto* byte = static_cast<const std::byte*>(address);
  return byte >= block.data() && byte < block.data() + block.size();
}

bool is_aligned(const void* address, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(address) % alignment == 0;
}

}  // namespace

TEST_CASE("views, text and arrays are read in place, aligned as they need it") {
  Encoding encoding;
  const std::vector<double> doubles(100, 1.5);
  const Wide wide[3] = {{{1, 2, 3, 4}}, {}, {{5, 6, 7, 8}}};
  const short grid[2][3] = {{1, 2, 3}, {4, 5, 6}};
  encoding.add('x');
  encoding.add(std::span(doubles));
  encoding.add('x');
  encoding.add(std::string_view("text"));
  encoding.add("literal");
  encoding.add(std::span<const Wide, 3>(wide));
  encoding.add('x');
  encoding.add(wide);
  encoding.add('x');
  encoding.add(grid);
  const Block block(encoding);

  Decoder decoder(block.bytes());
  CHECK(decoder.next<char>() == 'x');
  const auto span = decoder.next<std::span<const double>>();
  CHECK(lies_in(span.data(), block.bytes()));
  CHECK(is_aligned(span.data(), alignof(double)));
  CHECK(span[99] == 1.5);
  CHECK(decoder.next<char>() == 'x');
  const auto text = decoder.next<std::string_view>();
  CHECK(text == "text");
  CHECK(lies_in(text.data(), block.bytes()));
  const char* literal = decoder.next<const char*>();
  CHECK(literal == std::string("literal"));
  CHECK(lies_in(literal, block.bytes()));
  const auto three = decoder.next<std::span<const Wide, 3>>();
  CHECK(is_aligned(three.data(), 32));
  CHECK(three[2].values[3] == 8);
  CHECK(decoder.next<char>() == 'x');
  const auto& array = decoder.next<Wide[3]>();
  CHECK(lies_in(array, block.bytes()));
  CHECK(is_aligned(array, 32));
  CHECK(array[0].values[1] == 2);
  CHECK(decoder.next<char>() == 'x');
  CHECK(decoder.next<short[2][3]>()[1][2] == 6);
  CHECK(decoder.finished());
}

TEST_CASE("values that are aligned to more than a block arrive as copies") {
  const std::vector<Page> pages(3, Page{"page"});
  const auto arrived = round_trip(pages);
  CHECK(arrived[2].bytes == std::string("page"));
  CHECK(is_aligned(arrived.data(), 128));
  CHECK(round_trip(Page{"one"}).bytes == std::string("one"));
  CHECK_FALSE(Crosses<std::span<const Page>>);
}

TEST_CASE("the offset says how far the block was read") {
  Encoding encoding;
  encoding.add(1);
  encoding.add(std::string("text"));
  const Block block(encoding);
  Decoder decoder(block.bytes());
  CHECK(decoder.offset() == 0);
  CHECK_FALSE(decoder.finished());
  CHECK(decoder.next<int>() == 1);
  CHECK(decoder.offset() == 4);
  CHECK(decoder.next<std::string>() == "text");
  CHECK(decoder.finished());
  CHECK_THROWS_AS(decoder.next<char>(), SerializationError);
  CHECK_THROWS_AS(Decoder(block.bytes(), 18), SerializationError);
}

TEST_CASE("a message says where the block stopped making sense") {
  Encoding encoding;
  encoding.add(1);
  encoding.add(std::vector<double>(3));
  const Block whole(encoding);
  const Block cut(whole.bytes().first(32));
  Decoder decoder(cut.bytes());
  CHECK(decoder.next<int>() == 1);
  CHECK_THROWS_WITH(decoder.next<std::vector<double>>(),
                    Catch::Contains("offset 12 of 32") && Catch::Contains("3 aligned elements"));
}

TEST_CASE("a count that the bytes do not bear out is refused before anything is allocated") {
  for (const std::uint64_t count : {std::uint64_t{9}, std::uint64_t{1} << 61, ~std::uint64_t{0}}) {
    Encoding encoding;
    encoding.add(count);
    encoding.add(1.5);
    const Block block(encoding);
    CHECK_THROWS_AS(Decoder(block.bytes()).next<std::vector<double>>(), SerializationError);
    CHECK_THROWS_AS(Decoder(block.bytes()).next<std::string>(), SerializationError);
    CHECK_THROWS_AS(Decoder(block.bytes()).next<std::span<const double>>(), SerializationError);
    CHECK_THROWS_AS(Decoder(block.bytes()).next<std::vector<std::string>>(), SerializationError);
    CHECK_THROWS_AS(Decoder(block.bytes()).next<std::string_view>(), SerializationError);
  }
}

TEST_CASE("text without its terminator is refused") {
  Encoding encoding;
  encoding.add("text");
  Block block(encoding);
  block[12] = std::byte{'!'};
  CHECK_THROWS_AS(Decoder(block.bytes()).next<const char*>(), SerializationError);
  CHECK_THROWS_AS(Decoder(block.bytes()).next<std::string>(), SerializationError);
}

TEST_CASE("a span of fixed extent takes as many elements and no others") {
  Encoding encoding;
  encoding.add(std::vector<int>{1, 2, 3});
  const Block block(encoding);
  CHECK(Decoder(block.bytes()).next<std::span<const int, 3>>()[2] == 3);
  CHECK_THROWS_AS((Decoder(block.bytes()).next<std::span<const int, 4>>()), SerializationError);
}

TEST_CASE("a bool that is neither true nor false is refused wherever it is") {
  struct Flags {
    int number;
    bool flags[3];
    std::array<bool, 2> more;
  };
  Encoding encoding;
  encoding.add(Flags{1, {true, false, true}, {false, true}});
  Block block(encoding);
  CHECK(decode_value<Flags>(block.bytes()).more[1]);
  for (const std::size_t at : {4U, 5U, 6U, 7U, 8U}) {
    const std::byte before = block[at];
    block[at] = std::byte{2};
    CHECK_THROWS_AS(decode_value<Flags>(block.bytes()), SerializationError);
    block[at] = before;
  }

  Encoding many;
  many.add(std::array<bool, 2>{true, false});
  many.add(std::vector<Flags>(2));
  const Block good(many);
  Block bad(good.bytes());
  bad[1] = std::byte{7};
  CHECK_THROWS_AS((Decoder(bad.bytes()).next<std::array<bool, 2>>()), SerializationError);
  bad[good.bytes().size() - 4] = std::byte{7};
  CHECK_THROWS_AS(Decoder(bad.bytes(), 2).next<std::vector<Flags>>(), SerializationError);
  CHECK_THROWS_AS(Decoder(bad.bytes(), 2).next<std::span<const Flags>>(), SerializationError);
}

TEST_CASE("one value is all that a result's block may hold") {
  Encoding encoding;
  encoding.add(1);
  encoding.add('x');
  const Block block(encoding);
  CHECK_THROWS_AS(decode_value<int>(block.bytes()), SerializationError);
}

namespace {

constexpr std::size_t mebi = std::size_t{1} << 20;

template <class T>
struct OwnAllocator : std::allocator<T> {
  template <class Other>
  struct rebind {
    using other = OwnAllocator<Other>;
  };
};

template <class Container>
Container decoded(std::size_t count) {
  Encoding encoding;
  const Container sent(count, 'x');
  encoding.add(sent);
  std::vector<std::byte> bytes(encoding.size() + block_alignment);
  std::byte* const block = bytes.data() + padding_at(reinterpret_cast<std::uintptr_t>(bytes.data()), block_alignment);
  encoding.write_to(block);
  return Decoder(std::span(block, encoding.size())).next<Container>();
}

template <class Container>
bool has_huge_pages(std::size_t count) {
  const auto arrived = decoded<Container>(count);
  REQUIRE(arrived == Container(count, 'x'));
  return support::has_asked_for_huge_pages(arrived.data() + count / 2);
}

}  // namespace

TEST_CASE("large contiguous data arrives in huge pages, where the system has them") {
  if (!support::system_has_huge_pages()) return support::skip_case("no huge pages here");
  CHECK(has_huge_pages<std::vector<char>>(32 * mebi));
  CHECK(has_huge_pages<std::string>(32 * mebi));
}

TEST_CASE("memory of an allocator of the user's is left as it is") {
  CHECK_FALSE(has_huge_pages<std::vector<char, OwnAllocator<char>>>(40 * mebi));
}
