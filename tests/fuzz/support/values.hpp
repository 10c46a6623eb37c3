// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Types that tasks return, each with a sample value: one of each way in which values cross.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <procpool/serial.hpp>
#include <procpool/serial/decoder.hpp>
#include <procpool/serial/encoding.hpp>

#include "arena.hpp"

namespace fuzz {

enum class Color : std::uint8_t { red, green, blue };

/// Flat, with a bool in the middle.
struct Sighting {
  int where = 3;
  bool is_sure = true;
  std::array<bool, 3> flags{true, false, true};
  double how_far = 2.5;
};

struct Inner {
  std::string name = "inner";
  std::optional<std::vector<Sighting>> sightings = std::vector<Sighting>(2);
};

struct Nested {
  int number = 7;
  Inner inner;
  std::map<std::string, std::variant<int, std::string, Inner>> parts{{"one", 1}, {"two", "text"}, {"three", Inner{}}};
  std::vector<std::tuple<Color, bool, std::string>> rows{{Color::blue, true, "row"}};
};

/// As deep as its bytes say.
struct Tree {
  int value = 1;
  std::vector<Tree> children;
};
struct Link {
  int value = 1;
  std::unique_ptr<Link> next;
};

/// With functions of the user's.
class Serialized {
 public:
  template <class Archive>
  void serialize(Archive& archive) {
    archive(text_, numbers_, colors_);
  }

 private:
  std::string text_ = "serialized";
  std::vector<long> numbers_{1, 2, 3};
  std::map<int, Color> colors_{{1, Color::green}};
};

class Minimal {
 public:
  template <class Archive>
  [[nodiscard]] std::string save_minimal(const Archive&) const {
    return text_;
  }
  template <class Archive>
  void load_minimal(const Archive&, const std::string& text) {
    text_ = text;
  }

 private:
  std::string text_ = "minimal";
};

using Texts = std::vector<std::string>;
using Shared = std::vector<std::shared_ptr<std::string>>;

template <class T>
[[nodiscard]] T sample() {
  if constexpr (std::is_same_v<T, std::string>) return std::string("a result of some length");
  else if constexpr (std::is_same_v<T, std::u16string>) return std::u16string(u"wide");
  else if constexpr (std::is_same_v<T, std::vector<int>>) return {1, 2, 3, 4, 5};
  else if constexpr (std::is_same_v<T, std::vector<Sighting>>) return std::vector<Sighting>(3);
  else if constexpr (std::is_same_v<T, std::vector<bool>>) return {true, false, true, true};
  else if constexpr (std::is_same_v<T, Texts>) return {"one", "", "three"};
  else if constexpr (std::is_same_v<T, std::map<std::string, int>>) return {{"one", 1}, {"two", 2}};
  else if constexpr (std::is_same_v<T, std::unordered_map<int, Texts>>) return {{1, {"a", "b"}}, {2, {}}};
  else if constexpr (std::is_same_v<T, std::multiset<std::string>>) return {"a", "a", "b"};
  else if constexpr (std::is_same_v<T, std::deque<std::optional<bool>>>) return {true, std::nullopt, false};
  else if constexpr (std::is_same_v<T, std::list<std::pair<int, std::string>>>) return {{1, "a"}, {2, "b"}};
  else if constexpr (std::is_same_v<T, std::optional<std::string>>) return std::string("there");
  else if constexpr (std::is_same_v<T, std::variant<int, bool, Texts>>) return Texts{"alternative"};
  else if constexpr (std::is_same_v<T, std::unique_ptr<std::vector<int>>>) return std::make_unique<std::vector<int>>(2);
  else if constexpr (std::is_same_v<T, std::array<Texts, 2>>) return {Texts{"x"}, Texts{"y", "z"}};
  else if constexpr (std::is_same_v<T, std::filesystem::path>) return "/some/path";
  else if constexpr (std::is_same_v<T, Shared>) {
    const auto one = std::make_shared<std::string>("shared");
    return {one, nullptr, one};
  } else if constexpr (std::is_same_v<T, Tree>) {
    return Tree{1, {Tree{2, {}}, Tree{3, {Tree{4, {}}}}}};
  } else if constexpr (std::is_same_v<T, Link>) {
    return Link{1, std::make_unique<Link>(Link{2, nullptr})};
  } else {
    return T{};
  }
}

template <class... T>
struct Types {
  static constexpr std::size_t size = sizeof...(T);

  /// Calls `use.template operator()<T>()` with the type at that place.
  template <class Use>
  static void with(std::size_t place, Use use) {
    static_cast<void>(((place-- == 0 && (use.template operator()<T>(), true)) || ...));
  }
};

using Values =
    Types<int, std::string, Texts, std::map<std::string, int>, std::optional<std::string>,
          std::variant<int, bool, Texts>, Nested, bool, Color, double, Sighting, std::u16string, std::vector<int>,
          std::vector<Sighting>, std::vector<bool>, std::unordered_map<int, Texts>, std::multiset<std::string>,
          std::deque<std::optional<bool>>, std::list<std::pair<int, std::string>>, std::unique_ptr<std::vector<int>>,
          std::array<Texts, 2>, std::array<int, 5>, std::filesystem::path, Shared, Tree, Link, Serialized, Minimal,
          std::chrono::nanoseconds, std::array<bool, 20>>;

/// Memory as blocks are aligned.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size) : words_((size + sizeof(Line) - 1) / sizeof(Line)), size_(size) {}
  [[nodiscard]] std::span<std::byte> bytes() noexcept { return {reinterpret_cast<std::byte*>(words_.data()), size_}; }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> words_;
  std::size_t size_;
};

/// What arrived is a value: it can be sent and read again, every part of it.
template <class T>
void use(const T& value) {
  procpool::detail::Encoding encoding;
  encoding.add(value);
  AlignedBytes block(encoding.size());
  encoding.write_to(block.bytes().data());
  try {
    const T again = procpool::detail::decode_value<T>(block.bytes());
    procpool::detail::Encoding anew;
    anew.add(again);
    require(anew.size() == encoding.size(), "a value changes when it is sent again");
  } catch (const procpool::SerializationError&) {
    fail("what was taken for a value is none");
  }
}

}  // namespace fuzz
