// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How the standard types that wrap a fixed set of values are sent, and paths.

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <procpool/error/pool_errors.hpp>
#include <procpool/serial/standard_type.hpp>

namespace procpool::detail {

template <class T, class U>
struct Standard<std::pair<T, U>> : StandardParts<T, U> {
  static void save(OutputArchive& archive, const std::pair<T, U>& pair) { archive(pair.first, pair.second); }
  static void load(InputArchive& archive, std::pair<T, U>& pair) { archive(pair.first, pair.second); }
};

template <class... T>
struct Standard<std::tuple<T...>> : StandardParts<T...> {
  static void save(OutputArchive& archive, const std::tuple<T...>& tuple) {
    std::apply([&](const T&... parts) { archive(parts...); }, tuple);
  }
  static void load(InputArchive& archive, std::tuple<T...>& tuple) {
    std::apply([&](T&... parts) { archive(parts...); }, tuple);
  }
};

template <class T, std::size_t Size>
struct Standard<std::array<T, Size>> : StandardParts<T> {
  static void save(OutputArchive& archive, const std::array<T, Size>& array) {
    for (const T& item : array) archive(item);
  }
  static void load(InputArchive& archive, std::array<T, Size>& array) {
    for (T& item : array) archive(item);
  }
};

template <class T>
struct Standard<std::optional<T>> : StandardParts<T> {
  static void save(OutputArchive& archive, const std::optional<T>& optional) {
    archive(optional.has_value());
    if (optional) archive(*optional);
  }
  static void load(InputArchive& archive, std::optional<T>& optional) {
    if (load_as<bool>(archive)) {
      optional.emplace(load_as<T>(archive));
    } else {
      optional.reset();
    }
  }
};

template <class... T>
struct Standard<std::variant<T...>> : StandardParts<T...> {
  static void save(OutputArchive& archive, const std::variant<T...>& variant) {
    if (variant.valueless_by_exception()) {
      throw SerializationError("a std::variant that lost its value to an exception cannot be sent");
    }
    archive(static_cast<std::uint32_t>(variant.index()));
    std::visit([&](const auto& value) { archive(value); }, variant);
  }
  static void load(InputArchive& archive, std::variant<T...>& variant) {
    const auto index = load_as<std::uint32_t>(archive);
    load_alternative(archive, variant, index, std::index_sequence_for<T...>());
  }

 private:
  template <std::size_t... Index>
  static void load_alternative(InputArchive& archive, std::variant<T...>& variant, std::uint32_t index,
                               std::index_sequence<Index...>) {
    const bool found = ((index == Index ? (variant.template emplace<Index>(load_as<T>(archive)), true) : false) || ...);
    if (!found) archive.fail("the index of an alternative of a std::variant");
  }
};

/// std::filesystem::path, recognized without its header, which is a costly one. A path is a range of paths, so no rule
/// for ranges may ever see it.
template <class T>
concept PathLike = std::is_class_v<T> && requires(const T path, typename T::string_type text) {
  { path.native() } -> std::convertible_to<const typename T::string_type&>;
  { path.parent_path() } -> std::same_as<T>;
  T(text);
};

template <PathLike T>
struct Standard<T> : StandardParts<> {
  static void save(OutputArchive& archive, const T& path) { archive(path.native()); }
  static void load(InputArchive& archive, T& path) { path = T(load_as<typename T::string_type>(archive)); }
};

/// std::filesystem::directory_entry.
template <class T>
concept DirectoryEntryLike = std::is_class_v<T> && requires(T entry, const T sent, std::error_code error) {
  requires PathLike<std::remove_cvref_t<decltype(sent.path())>>;
  entry.assign(sent.path(), error);
};

/// What was known of the file is asked again where the entry arrives; if the file is gone by then, the path still
/// arrives.
template <DirectoryEntryLike T>
struct Standard<T> : StandardParts<> {
  static void save(OutputArchive& archive, const T& entry) { archive(entry.path()); }
  static void load(InputArchive& archive, T& entry) {
    std::error_code gone;
    entry.assign(load_as<std::remove_cvref_t<decltype(entry.path())>>(archive), gone);
  }
};

}  // namespace procpool::detail
