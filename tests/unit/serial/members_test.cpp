// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <procpool/serial/members.hpp>

#include "../../support/catch.hpp"

using namespace procpool::detail;

namespace {

struct None {};
struct One {
  std::string text;
};
struct Record {
  char name[32];
  int scores[3][2];
  double mean;
};
struct Tree {
  int value;
  std::vector<Tree> children;
};
struct Owner {
  std::unique_ptr<int> owned;
  std::optional<int> maybe;
};
struct Nested {
  Record record;
  std::array<One, 2> ones;
  None none;
};
struct Bits {
  unsigned low : 3;
  unsigned high : 5;
};
struct Constant {
  const int fixed;
  double free;
};
struct Derived : One {
  int more;
};
struct EmptyDerived : None {
  int more;
};
struct Forty {
  int a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20;
  int b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, b16, b17, b18, b19, b20;
};
struct FortyOne {
  Forty forty;
  int a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20;
  int b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, b16, b17, b18, b19, b20;
};

template <class T, class... Members>
constexpr bool has_members = std::is_same_v<members_of<T>, TypeList<Members...>>;

static_assert(member_count<None>() == 0);
static_assert(member_count<Forty>() == 40);
static_assert(member_count<FortyOne>() == most_members + 1);

static_assert(has_members<None>);
static_assert(has_members<One, std::string>);
static_assert(has_members<Record, char[32], int[3][2], double>);
static_assert(has_members<Tree, int, std::vector<Tree>>);
static_assert(has_members<Owner, std::unique_ptr<int>, std::optional<int>>);
static_assert(has_members<Nested, Record, std::array<One, 2>, None>);
static_assert(has_members<Bits, unsigned, unsigned>);

static_assert(has_bit_field<Bits> && !has_bit_field<Record> && !has_bit_field<None>);
static_assert(has_const_member<Constant> && !has_const_member<Record> && !has_const_member<Bits>);
static_assert(has_base_class<Derived> && has_base_class<EmptyDerived>);
static_assert(!has_base_class<Record> && !has_base_class<Nested> && !has_base_class<None> && !has_base_class<Owner>);

}  // namespace

TEST_CASE("the members of a struct are visited in order and in place") {
  Forty forty{};
  int next = 0;
  visit_members(forty, [&](auto&... members) { ((members = ++next), ...); });
  CHECK(forty.a1 == 1);
  CHECK(forty.a20 == 20);
  CHECK(forty.b1 == 21);
  CHECK(forty.b20 == 40);
}

TEST_CASE("the members of a const struct are const") {
  const Record record{"name", {}, 1.5};
  visit_members(record, [](const char(&name)[32], const auto&, const double& mean) {
    CHECK(std::string(name) == "name");
    CHECK(mean == 1.5);
  });
}
