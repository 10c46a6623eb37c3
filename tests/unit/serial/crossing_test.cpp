// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <procpool/serial/archive.hpp>
#include <procpool/serial/crossing.hpp>

#include "../../support/catch.hpp"

namespace {

enum class Color : char { red, blue };

struct Plain {
  char name[16];
  int count;
  bool good;
};
struct Owning {
  std::string name;
  std::vector<Plain> parts;
};
struct Tree {
  int value;
  std::vector<Tree> children;
};
struct Bits {
  unsigned low : 3;
  unsigned high : 5;
};
struct Base {
  int x;
};
struct Derived : Base {
  int y;
};
struct DerivedWithPointer : Base {
  int* pointer;
};
struct Constant {
  const int fixed;
  double free;
};
class Point {  // private members, and no default constructor
 public:
  Point(double x, double y) : x_(x), y_(y) {}
  [[nodiscard]] double sum() const { return x_ + y_; }

 private:
  double x_, y_;
};
class ConstexprPoint {
 public:
  constexpr ConstexprPoint(double x, double y) : x_(x), y_(y) {}
  [[nodiscard]] double sum() const { return x_ + y_; }

 private:
  double x_, y_;
};
class TextReference {
 public:
  constexpr explicit TextReference(const char* text) : text_(text) {}
  [[nodiscard]] const char* text() const { return text_; }

 private:
  const char* text_;
};
union Number {
  int i;
  float f;
};
union PromisedNumber {
  int i;
  float f;
};
struct HasPointer {
  int* pointer;
};
struct HasReference {
  int& reference;
};
struct HasView {
  std::string_view view;
};
struct HasIterator {
  std::vector<int>::iterator where;
};
struct DeepInside {
  std::map<std::string, std::vector<std::optional<HasPointer>>> deep;
};
struct HasMaybe {
  std::optional<int> maybe;
  std::variant<int, double> either;
};
struct Serialized {
  int* not_sent = nullptr;
  int sent = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(sent);
  }
};
struct SerializedOutside {
  int* not_sent = nullptr;
  int sent = 0;
};
template <class Archive>
void serialize(Archive& archive, SerializedOutside& value) {
  archive(value.sent);
}
struct Functor {
  int factor;
  int operator()(int x) const { return factor * x; }
};
using Closure = decltype([](int x) { return x; });
using ClosureOfValue = decltype([factor = 2](int x) { return factor * x; });
using ClosureOfPointer = decltype([pointer = static_cast<int*>(nullptr)] { return *pointer; });
template <class F>
struct HoldsF {
  F function;
};

}  // namespace

template <>
inline constexpr bool procpool::is_plain_data<PromisedNumber> = true;

namespace {

using namespace procpool;
using procpool::detail::is_flat_value;
using procpool::detail::sent_t;

// How an argument is sent.
static_assert(std::is_same_v<sent_t<const char (&)[6]>, const char*>);
static_assert(std::is_same_v<sent_t<char (&)[6]>, const char*>);
static_assert(std::is_same_v<sent_t<char*>, const char*>);
static_assert(std::is_same_v<sent_t<const char* const&>, const char*>);
static_assert(std::is_same_v<sent_t<const char8_t (&)[6]>, const char8_t*>);
static_assert(std::is_same_v<sent_t<std::string&>, std::string>);
static_assert(std::is_same_v<sent_t<const std::string>, std::string>);
static_assert(std::is_same_v<sent_t<std::vector<int>>, std::vector<int>>);
static_assert(std::is_same_v<sent_t<const int (&)[3]>, int[3]>);
static_assert(std::is_same_v<sent_t<const int (&)[3][2]>, int[3][2]>);
static_assert(std::is_same_v<sent_t<int (&)(int)>, int (*)(int)>);

// What crosses both ways.
template <class... T>
constexpr bool all_cross = ((Crosses<T> && CrossesBack<T>)&&...);
static_assert(all_cross<bool, char, int, long double, Color, std::byte, std::nullptr_t>);
static_assert(all_cross<std::string, std::wstring, std::vector<bool>, std::vector<std::string>, std::deque<int>>);
static_assert(all_cross<std::list<int>, std::set<int>, std::map<int, int>, std::multimap<std::string, int>>);
static_assert(all_cross<std::unordered_map<std::string, std::vector<int>>, std::pair<int, std::string>>);
static_assert(all_cross<std::tuple<>, std::tuple<int, std::string>, std::optional<int>, std::variant<int, Owning>>);
static_assert(all_cross<std::unique_ptr<int>, std::shared_ptr<const Owning>, std::weak_ptr<int>>);
static_assert(all_cross<std::chrono::seconds, std::chrono::system_clock::time_point, std::complex<double>>);
static_assert(all_cross<std::bitset<70>, std::filesystem::path, std::filesystem::directory_entry>);
static_assert(all_cross<std::vector<std::filesystem::path>, std::array<std::string, 3>, std::less<>, std::plus<int>>);
static_assert(all_cross<Plain, Owning, Tree, Bits, Derived, Constant, Point, ConstexprPoint, HasMaybe, Functor>);
static_assert(all_cross<Serialized, SerializedOutside, std::vector<Serialized>, PromisedNumber>);
static_assert(CrossesBack<void> && CrossesBack<const std::string&> && Crosses<std::string&> && Crosses<const Plain>);

// What crosses as an argument only.
static_assert(Crosses<const char*> && Crosses<char*> && Crosses<const char (&)[4]> && Crosses<const wchar_t*>);
static_assert(Crosses<std::string_view> && Crosses<std::span<const double>> && Crosses<std::span<Plain, 3>>);
static_assert(Crosses<int (&)[3]> && Crosses<Plain[2]> && Crosses<double[2][3]>);
static_assert(!CrossesBack<const char*> && !CrossesBack<char*> && !CrossesBack<std::string_view>);
static_assert(!CrossesBack<std::span<const double>> && !CrossesBack<int[3]>);

// What does not.
template <class... T>
constexpr bool none_crosses = (!(Crosses<T> || CrossesBack<T>)&&...);
static_assert(none_crosses<int*, const void*, std::FILE*, void (*)(), int Plain::*, int (HoldsF<int>::*)()>);
static_assert(
    none_crosses<std::vector<int>::iterator, std::map<int, int>::const_iterator, std::reference_wrapper<int>>);
static_assert(none_crosses<HasPointer, HasReference, HasView, HasIterator, DeepInside, DerivedWithPointer>);
static_assert(none_crosses<std::vector<int*>, std::optional<std::string_view>, std::pair<int, std::span<int>>>);
static_assert(none_crosses<std::unique_ptr<std::FILE>, std::vector<const char*>, std::tuple<int, void*>>);
static_assert(none_crosses<std::initializer_list<int>, std::span<const std::string>, std::string[2]>);
static_assert(none_crosses<Closure, ClosureOfValue, ClosureOfPointer>);
static_assert(none_crosses<HoldsF<ClosureOfPointer>, std::function<int(int)>>);
static_assert(none_crosses<std::atomic<int>, std::mutex, std::thread, TextReference, Number>);
static_assert(none_crosses<std::set<int, bool (*)(int, int)>, std::unique_ptr<int, void (*)(int*)>>);

// What crosses as a copy of its bytes.
template <class... T>
constexpr bool all_flat = (is_flat_value<T> && ...);
static_assert(all_flat<int, bool, Color, std::byte, Plain, Bits, Derived, Constant, Point, ConstexprPoint, Functor>);
static_assert(all_flat<std::array<Plain, 4>, int[3], Plain[2][2], std::chrono::seconds, std::complex<float>>);
static_assert(all_flat<std::bitset<70>, PromisedNumber>);
template <class... T>
constexpr bool none_flat = (!is_flat_value<T> && ...);
static_assert(none_flat<int*, const char*, HasPointer, HasReference, std::string_view, std::span<int>, Number>);
static_assert(none_flat<std::string, Owning, std::atomic<int>, std::reference_wrapper<int>, void, int&>);
// Their bytes must be looked at when they arrive.
static_assert(none_flat<std::optional<int>, std::variant<int, double>, HasMaybe, std::array<HasMaybe, 2>>);
// What the user wrote comes first.
static_assert(none_flat<Serialized, SerializedOutside, std::array<Serialized, 2>>);

template <class T>
struct OfAny {};

static_assert(procpool::detail::is_closure<Closure>);
static_assert(!procpool::detail::is_closure<OfAny<Closure>> && !procpool::detail::is_closure<Functor>);

template <class T>
bool lambda_in_a_template_is_a_closure() {
  const auto lambda = [](std::vector<T> values) { return [values](auto value) { return values.size() + value; }; };
  using Outer = std::remove_const_t<decltype(lambda)>;
  using Inner = decltype(lambda({}));
  return procpool::detail::is_closure<Outer> && procpool::detail::is_closure<Inner> &&
         !procpool::detail::is_closure<OfAny<Outer>>;
}

}  // namespace

TEST_CASE("closures are told from other classes wherever they are written") {
  CHECK(lambda_in_a_template_is_a_closure<int>());
  CHECK(lambda_in_a_template_is_a_closure<std::map<int, std::string>>());
}
