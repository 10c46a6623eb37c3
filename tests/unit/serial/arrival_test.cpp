// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <procpool/serial/arrival.hpp>

#include "../../support/catch.hpp"
#include "round_trip.hpp"

using namespace procpool;
using namespace procpool::detail;

namespace {

template <class Sent, class Parameter, class Arrived>
constexpr bool arrives = std::is_same_v<arrives_as_t<Sent, Parameter>, Arrived>;

// A parameter that only views what was sent gets a view of the block.
static_assert(arrives<std::string, std::string_view, std::string_view>);
static_assert(arrives<std::string, const std::string_view&, std::string_view>);
static_assert(arrives<std::string, const char*, const char*>);
static_assert(arrives<std::string, std::span<const char>, std::span<const char>>);
static_assert(arrives<const char*, std::string_view, std::string_view>);
static_assert(arrives<std::vector<int>, std::span<const int>, std::span<const int>>);
static_assert(arrives<std::array<int, 3>, std::span<const int>, std::span<const int>>);
static_assert(arrives<std::array<int, 3>, std::span<const int, 3>, std::span<const int, 3>>);
static_assert(arrives<int[3], std::span<const int>, std::span<const int>>);
static_assert(arrives<std::span<int>, std::span<const int>, std::span<const int>>);

// All others get the value.
static_assert(arrives<std::string, void, std::string>);
static_assert(arrives<std::string, std::string, std::string>);
static_assert(arrives<std::string, const std::string&, std::string>);
static_assert(arrives<const char*, std::string, const char*>);
static_assert(arrives<const char*, const char*, const char*>);
static_assert(arrives<std::vector<int>, const std::vector<int>&, std::vector<int>>);
static_assert(arrives<std::vector<int>, std::span<int>, std::vector<int>>);
static_assert(arrives<std::vector<int>, std::span<const long>, std::vector<int>>);
static_assert(arrives<std::vector<std::string>, std::span<const std::string>, std::vector<std::string>>);
static_assert(arrives<std::vector<char>, std::string_view, std::vector<char>>);
static_assert(arrives<std::vector<bool>, std::span<const bool>, std::vector<bool>>);
static_assert(arrives<int[3], const int*, const int (&)[3]>);
static_assert(arrives<int[2][3], std::span<const int>, const int (&)[2][3]>);
static_assert(arrives<std::unique_ptr<int>, std::unique_ptr<int>, std::unique_ptr<int>>);
static_assert(arrives<int, double, int>);

}  // namespace

TEST_CASE("an owner that was sent is read in place by a parameter that only views it") {
  Encoding encoding;
  encoding.add(std::string("text"));
  encoding.add(std::string("c string"));
  encoding.add(std::vector<int>{1, 2, 3});
  encoding.add(std::array<int, 3>{4, 5, 6});
  encoding.add("literal");
  const int numbers[2] = {7, 8};
  encoding.add(numbers);
  const Block block(encoding);

  Decoder decoder(block.bytes());
  CHECK(arrive<std::string, std::string_view>(decoder) == "text");
  CHECK(arrive<std::string, const char*>(decoder) == std::string("c string"));
  const auto vector = arrive<std::vector<int>, std::span<const int>>(decoder);
  CHECK(vector.size() == 3);
  CHECK(vector[2] == 3);
  const auto array = arrive<std::array<int, 3>, const std::span<const int, 3>&>(decoder);
  CHECK(array[2] == 6);
  CHECK(arrive<const char*, std::string_view>(decoder) == "literal");
  const auto span = arrive<int[2], std::span<const int>>(decoder);
  CHECK(span[1] == 8);
  CHECK(decoder.finished());
  for (const void* address : {static_cast<const void*>(vector.data()), static_cast<const void*>(array.data())}) {
    CHECK(address >= block.bytes().data());
    CHECK(address < block.bytes().data() + block.bytes().size());
  }
}

TEST_CASE("a view of fixed extent refuses another number of elements") {
  Encoding encoding;
  encoding.add(std::vector<int>{1, 2, 3});
  const Block block(encoding);
  Decoder decoder(block.bytes());
  CHECK_THROWS_AS((arrive<std::vector<int>, std::span<const int, 2>>(decoder)), SerializationError);
}

TEST_CASE("a null pointer to text arrives as one, and as no text in a view") {
  Encoding encoding;
  const char* none = nullptr;
  encoding.add(none);
  const Block block(encoding);
  Decoder decoder(block.bytes());
  CHECK(arrive<const char*, const char*>(decoder) == nullptr);
  Decoder again(block.bytes());
  CHECK(arrive<const char*, std::string_view>(again).empty());
}
