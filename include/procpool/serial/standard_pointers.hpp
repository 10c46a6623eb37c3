// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How smart pointers are sent: with what they own, and what several std::shared_ptr of one value share stays shared.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <vector>

#include <procpool/serial/standard_type.hpp>

namespace procpool::detail {

/// Pointees that can be made where they arrive. Those of polymorphic classes, and classes with `load_and_construct`,
/// are left to cereal, whose header the user includes to register or to construct them.
template <class T>
concept PlainPointee = !std::is_array_v<T> && !std::is_void_v<T> && !std::is_polymorphic_v<T> &&
                       !cereal::traits::has_load_and_construct<std::remove_const_t<T>, InputArchive>::value;

template <PlainPointee T, class D>
struct Standard<std::unique_ptr<T, D>> : StandardParts<std::remove_const_t<T>> {
  static constexpr bool has_hidden_state = !std::is_empty_v<D>;

  static void save(OutputArchive& archive, const std::unique_ptr<T, D>& pointer) {
    archive(pointer != nullptr);
    if (pointer) archive(*pointer);
  }
  static void load(InputArchive& archive, std::unique_ptr<T, D>& pointer) {
    pointer.reset();
    if (!load_as<bool>(archive)) return;
    using Value = std::remove_const_t<T>;
    auto value = std::make_unique<Value>(load_as<Value>(archive));
    pointer.reset(value.release());
  }
};

/// One object, for the purposes of sharing: an aliasing std::shared_ptr may have the address of another object.
struct SharedKey {
  const void* address;
  const std::type_info* type;
  bool operator==(const SharedKey&) const = default;
};
struct HashSharedKey {
  std::size_t operator()(const SharedKey& key) const noexcept { return std::hash<const void*>()(key.address); }
};

/// The objects that an OutputArchive has met, with their numbers, from 1. A template, so that only those pay for
/// compiling a hash table whose values share something.
template <class Key>
struct WrittenObjects {
  std::unordered_map<Key, std::uint32_t, HashSharedKey> numbers;
  std::vector<std::shared_ptr<const void>> alive;  // or an address could come back as another object's
};

/// An object that an InputArchive has made; number 1 is the first in a std::vector of them.
struct ReadObject {
  std::shared_ptr<void> object;
  const std::type_info* type;
};

template <class Objects, class Archive>
[[nodiscard]] Objects& shared_objects_of(Archive& archive) {
  if (archive.shared_objects() == nullptr) archive.shared_objects() = std::make_shared<Objects>();
  return *static_cast<Objects*>(archive.shared_objects().get());
}

template <PlainPointee T>
struct Standard<std::shared_ptr<T>> : StandardParts<std::remove_const_t<T>> {
  using Value = std::remove_const_t<T>;

  static void save(OutputArchive& archive, const std::shared_ptr<T>& pointer) {
    if (pointer == nullptr) return static_cast<void>(archive(std::uint32_t{0}));
    auto& written = shared_objects_of<WrittenObjects<SharedKey>>(archive);
    const auto next = static_cast<std::uint32_t>(written.numbers.size() + 1);
    const auto [entry, is_new] = written.numbers.try_emplace(SharedKey{pointer.get(), &typeid(Value)}, next);
    archive(entry->second);
    if (!is_new) return;
    written.alive.push_back(pointer);
    archive(*pointer);
  }

  static void load(InputArchive& archive, std::shared_ptr<T>& pointer) {
    const auto number = load_as<std::uint32_t>(archive);
    if (number == 0) return pointer.reset();
    auto& objects = shared_objects_of<std::vector<ReadObject>>(archive);
    if (number > objects.size() + 1) archive.fail("the number of a shared object");
    if (number > objects.size()) return load_new(archive, pointer, objects);
    const ReadObject& known = objects[number - 1];
    if (known.object == nullptr || *known.type != typeid(Value)) archive.fail("a shared object of another type");
    pointer = std::static_pointer_cast<Value>(known.object);
  }

 private:
  // An object is listed before its contents are read, in which it may occur again.
  static void load_new(InputArchive& archive, std::shared_ptr<T>& pointer, std::vector<ReadObject>& objects) {
    const std::size_t index = objects.size();
    objects.push_back({nullptr, &typeid(Value)});
    if constexpr (std::is_default_constructible_v<Value>) {
      auto value = std::make_shared<Value>();
      objects[index].object = value;
      archive(*value);
      pointer = std::move(value);
    } else {
      auto value = std::make_shared<Value>(load_as<Value>(archive));
      objects[index].object = value;
      pointer = std::move(value);
    }
  }
};

/// Arrives as it was sent if a std::shared_ptr in the same value keeps the object alive, and expired otherwise.
template <PlainPointee T>
struct Standard<std::weak_ptr<T>> : StandardParts<std::remove_const_t<T>> {
  static void save(OutputArchive& archive, const std::weak_ptr<T>& pointer) { archive(pointer.lock()); }
  static void load(InputArchive& archive, std::weak_ptr<T>& pointer) { pointer = load_as<std::shared_ptr<T>>(archive); }
};

}  // namespace procpool::detail
