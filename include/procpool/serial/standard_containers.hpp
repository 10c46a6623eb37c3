// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How the standard containers are sent: their size, then their elements.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <procpool/detail/os/huge_pages.hpp>
#include <procpool/serial/standard_type.hpp>

namespace procpool::detail {

/// Reserves room for `count` flat elements in an empty vector or string; if there are many, in huge pages where its
/// memory is from the standard allocator.
template <class Container>
void reserve_to_fill(Container& container, std::size_t count) {
  using Item = typename Container::value_type;
  container.reserve(count);
  if constexpr (std::is_same_v<typename Container::allocator_type, std::allocator<Item>>) {
    ask_for_huge_pages(container.data(), count * sizeof(Item));
  }
}

/// Replaces the elements of a vector or string by `count` flat elements that lie at `bytes`.
template <class Container>
void assign_flat(Container& container, const std::byte* bytes, std::size_t count) {
  using Item = typename Container::value_type;
  container.clear();
  if (count == 0) return;
  reserve_to_fill(container, count);
  if constexpr (std::is_copy_constructible_v<Item> && std::is_copy_assignable_v<Item>) {
    if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(Item) == 0) {
      // Trivially copyable items lie there already: one memcpy, and nothing is initialized before it.
      const Item* first = reinterpret_cast<const Item*>(bytes);
      container.assign(first, first + count);
      require_valid_bools(container.data(), count);  // A copy stays as it was checked.
      return;
    }
  }
  for (std::size_t i = 0; i < count; ++i) container.push_back(load_flat<Item>(bytes + i * sizeof(Item)));
}

template <class Container>
struct StandardRange : StandardParts<typename Container::value_type> {
  static void save(OutputArchive& archive, const Container& container) {
    archive.write_size(container.size());
    for (const auto& item : container) archive(item);
  }
};

template <class Container>
struct StandardSequence : StandardRange<Container> {
  using Item = typename Container::value_type;

  static void load(InputArchive& archive, Container& container) {
    const std::size_t count = archive.read_size();
    container.clear();
    // No more than the bytes that are left, whatever the count says; what is honest and larger grows as it is read.
    if constexpr (requires { container.reserve(count); }) {
      const std::size_t fitting = archive.remaining() / sizeof(Item) + 1;
      container.reserve(count < fitting ? count : fitting);
    }
    for (std::size_t i = 0; i < count; ++i) container.push_back(load_as<Item>(archive));
  }
};

template <class Container>
struct StandardRun : StandardParts<typename Container::value_type> {
  using Item = typename Container::value_type;

  static void save(OutputArchive& archive, const Container& container) {
    archive.write_size(container.size());
    archive.write_run(container.data(), container.size());
  }
  static void load(InputArchive& archive, Container& container) {
    const std::size_t count = archive.read_size();
    assign_flat(container, archive.take_run<Item>(count), count);
  }
};

template <class Container>
struct StandardSet : StandardRange<Container> {
  static void load(InputArchive& archive, Container& container) {
    const std::size_t count = archive.read_size();
    container.clear();
    for (std::size_t i = 0; i < count; ++i) {
      container.emplace_hint(container.end(), load_as<typename Container::key_type>(archive));
    }
  }
};

template <class Container>
struct StandardMap : StandardParts<typename Container::key_type, typename Container::mapped_type> {
  static void save(OutputArchive& archive, const Container& container) {
    archive.write_size(container.size());
    for (const auto& [key, value] : container) archive(key, value);
  }
  static void load(InputArchive& archive, Container& container) {
    const std::size_t count = archive.read_size();
    container.clear();
    for (std::size_t i = 0; i < count; ++i) {
      auto key = load_as<typename Container::key_type>(archive);
      auto value = load_as<typename Container::mapped_type>(archive);
      container.emplace_hint(container.end(), std::move(key), std::move(value));
    }
  }
};

// A comparator or hash with state (a pointer to a function, say) would arrive without it.
template <class Container, class... Policies>
struct WithPolicies : Container {
  static constexpr bool has_hidden_state = !(std::is_empty_v<Policies> && ...);
};

template <class T, class A>
struct Standard<std::vector<T, A>>
    : std::conditional_t<is_flat<T>(), StandardRun<std::vector<T, A>>, StandardSequence<std::vector<T, A>>> {};
template <class A>
struct Standard<std::vector<bool, A>> : StandardSequence<std::vector<bool, A>> {};
template <class C, class R, class A>
struct Standard<std::basic_string<C, R, A>> : StandardRun<std::basic_string<C, R, A>> {};
template <class T, class A>
struct Standard<std::deque<T, A>> : StandardSequence<std::deque<T, A>> {};
template <class T, class A>
struct Standard<std::list<T, A>> : StandardSequence<std::list<T, A>> {};

template <class K, class C, class A>
struct Standard<std::set<K, C, A>> : WithPolicies<StandardSet<std::set<K, C, A>>, C> {};
template <class K, class C, class A>
struct Standard<std::multiset<K, C, A>> : WithPolicies<StandardSet<std::multiset<K, C, A>>, C> {};
template <class K, class H, class E, class A>
struct Standard<std::unordered_set<K, H, E, A>> : WithPolicies<StandardSet<std::unordered_set<K, H, E, A>>, H, E> {};
template <class K, class H, class E, class A>
struct Standard<std::unordered_multiset<K, H, E, A>>
    : WithPolicies<StandardSet<std::unordered_multiset<K, H, E, A>>, H, E> {};

template <class K, class T, class C, class A>
struct Standard<std::map<K, T, C, A>> : WithPolicies<StandardMap<std::map<K, T, C, A>>, C> {};
template <class K, class T, class C, class A>
struct Standard<std::multimap<K, T, C, A>> : WithPolicies<StandardMap<std::multimap<K, T, C, A>>, C> {};
template <class K, class T, class H, class E, class A>
struct Standard<std::unordered_map<K, T, H, E, A>>
    : WithPolicies<StandardMap<std::unordered_map<K, T, H, E, A>>, H, E> {};
template <class K, class T, class H, class E, class A>
struct Standard<std::unordered_multimap<K, T, H, E, A>>
    : WithPolicies<StandardMap<std::unordered_multimap<K, T, H, E, A>>, H, E> {};

}  // namespace procpool::detail
