// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Reads the items of a map from its ranges, one after the other.

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include <procpool/detail/pool/chunker.hpp>
#include <procpool/serial/flat.hpp>
#include <procpool/serial/sent.hpp>

namespace procpool::detail {

template <class R>
concept InputRange = requires(R& range) {
  { std::ranges::begin(range) } -> std::input_iterator;
  std::ranges::end(range);
};

template <class R>
using iterator_of = decltype(std::ranges::begin(std::declval<R&>()));
template <class R>
using sentinel_of = decltype(std::ranges::end(std::declval<R&>()));
/// The items of a std::map have a const key, which could not be read back: they are sent as pairs without it.
template <class T>
struct ItemToSend {
  using type = T;
};
template <class Key, class T>
struct ItemToSend<std::pair<const Key, T>> {
  using type = std::pair<Key, T>;
};
template <class Iterator>
using value_to_send = typename ItemToSend<std::iter_value_t<Iterator>>::type;
template <class R>
using item_of = value_to_send<iterator_of<R>>;

/// Keeps a range for as long as it is read: an lvalue by reference, an rvalue as its own.
template <class R>
class KeptRange {
 public:
  explicit KeptRange(R&& range) : range_(std::make_unique<R>(std::move(range))) {}
  [[nodiscard]] R& get() const noexcept { return *range_; }

 private:
  std::unique_ptr<R> range_;  // its address stays when the reader moves
};
template <class R>
class KeptRange<R&> {
 public:
  explicit KeptRange(R& range) noexcept : range_(&range) {}
  [[nodiscard]] R& get() const noexcept { return *range_; }

 private:
  R* range_;
};

/// Stands for the size of a range that has no end.
inline constexpr std::size_t endless = Chunker::unknown - 1;

/// The items in a range, `endless`, or Chunker::unknown.
template <class R>
[[nodiscard]] std::size_t size_of_range(R& range) {
  if constexpr (std::is_same_v<sentinel_of<R>, std::unreachable_sentinel_t>) return endless;
  else if constexpr (requires { std::ranges::size(range); }) return static_cast<std::size_t>(std::ranges::size(range));
  else return Chunker::unknown;
}

/// The items of ranges of these sizes side by side; Chunker::unknown if one of them may end at any time, or none ends.
[[nodiscard]] inline std::size_t size_side_by_side(std::initializer_list<std::size_t> sizes) {
  const std::size_t shortest = std::min(sizes);
  const bool is_known = shortest != endless && std::find(sizes.begin(), sizes.end(), Chunker::unknown) == sizes.end();
  return is_known ? shortest : Chunker::unknown;
}

/// Several ranges side by side, as long as the shortest. `Ranges` are as deduced from forwarding references.
template <class... Ranges>
class ZipReader {
 public:
  explicit ZipReader(Ranges&&... ranges)
      : ranges_(KeptRange<Ranges>(std::forward<Ranges>(ranges))...),
        remaining_(
            std::apply([](auto&... kept) { return size_side_by_side({size_of_range(kept.get())...}); }, ranges_)),
        iterators_(std::apply([](auto&... kept) { return std::tuple{std::ranges::begin(kept.get())...}; }, ranges_)),
        ends_(std::apply([](auto&... kept) { return std::tuple{std::ranges::end(kept.get())...}; }, ranges_)) {}

  /// Calls `type.template operator()<Sent...>()` with the types as which an item's values are sent.
  template <template <class...> class Template, class... Before>
  using with_sent = Template<Before..., sent_t<item_of<std::remove_reference_t<Ranges>>>...>;

  static constexpr bool is_contiguous_flat = [] {
    if constexpr (sizeof...(Ranges) == 1) {
      using Range = std::tuple_element_t<0, std::tuple<std::remove_reference_t<Ranges>...>>;
      using Item = item_of<Range>;
      return std::contiguous_iterator<iterator_of<Range>> &&
             std::sized_sentinel_for<sentinel_of<Range>, iterator_of<Range>> && is_flat_value<Item> &&
             !std::is_array_v<Item>;
    } else {
      return false;
    }
  }();

  [[nodiscard]] bool at_end() { return at_end(std::index_sequence_for<Ranges...>{}); }

  /// Items left, or Chunker::unknown.
  [[nodiscard]] std::size_t remaining() const noexcept { return remaining_; }

  /// Calls `use(values...)` with the current item and goes on to the next. Lvalues live on while the reader does.
  template <class Use>
  void read(Use use) {
    std::apply([&](auto&... iterators) { use(stable<decltype(*iterators), Ranges>(*iterators)...); }, iterators_);
    std::apply([](auto&... iterators) { (static_cast<void>(++iterators), ...); }, iterators_);
    if (remaining_ != Chunker::unknown) --remaining_;
  }

  /// The next `count` items at once. Only if is_contiguous_flat.
  [[nodiscard]] auto read_span(std::size_t count) {
    auto& iterator = std::get<0>(iterators_);
    const std::span items(std::to_address(iterator), count);
    iterator += static_cast<std::ptrdiff_t>(count);
    remaining_ -= count;
    return items;
  }

 private:
  template <std::size_t... I>
  bool at_end(std::index_sequence<I...>) {
    return ((std::get<I>(iterators_) == std::get<I>(ends_)) || ...);
  }

  /// A reference into a range of the caller's stays good until the chunk is sent if the iterator is a forward one; any
  /// other item is passed on as a value of its own.
  template <class Reference, class Range, class T>
  static decltype(auto) stable(T&& item) {
    using Iterator = iterator_of<std::remove_reference_t<Range>>;
    if constexpr (std::is_lvalue_reference_v<Reference> && std::forward_iterator<Iterator> &&
                  std::is_same_v<std::remove_cvref_t<Reference>, value_to_send<Iterator>>) {
      return static_cast<Reference>(item);
    } else {
      return static_cast<value_to_send<Iterator>>(std::forward<T>(item));
    }
  }

  std::tuple<KeptRange<Ranges>...> ranges_;
  std::size_t remaining_;  // asked before begin(), after which a single-pass range need not know its size any more
  std::tuple<iterator_of<std::remove_reference_t<Ranges>>...> iterators_;
  std::tuple<sentinel_of<std::remove_reference_t<Ranges>>...> ends_;
};

/// One range of tuples, each the arguments of one call.
template <class Range>
class StarReader {
  using Tuple = item_of<std::remove_reference_t<Range>>;

  template <template <class...> class Template, class Indices, class... Before>
  struct WithSent;
  template <template <class...> class Template, std::size_t... I, class... Before>
  struct WithSent<Template, std::index_sequence<I...>, Before...> {
    using type = Template<Before..., sent_t<std::tuple_element_t<I, Tuple>>...>;
  };

 public:
  explicit StarReader(Range&& range) : items_(std::forward<Range>(range)) {}

  template <template <class...> class Template, class... Before>
  using with_sent = typename WithSent<Template, std::make_index_sequence<std::tuple_size_v<Tuple>>, Before...>::type;

  static constexpr bool is_contiguous_flat = false;

  [[nodiscard]] bool at_end() { return items_.at_end(); }
  [[nodiscard]] std::size_t remaining() const noexcept { return items_.remaining(); }

  template <class Use>
  void read(Use use) {
    items_.read([&](auto&& item) {
      std::apply([&](auto&&... values) { use(lasting<decltype(values)>(values)...); },
                 std::forward<decltype(item)>(item));
    });
  }

 private:
  /// What a tuple of references names may change when a single-pass iterator goes on: it is encoded at once, as a
  /// temporary is, but not moved from.
  template <class Value>
  static decltype(auto) lasting(std::remove_reference_t<Value>& value) noexcept {
    constexpr bool is_multi_pass = std::forward_iterator<iterator_of<std::remove_reference_t<Range>>>;
    if constexpr (std::is_lvalue_reference_v<Value> && !is_multi_pass) return std::move(std::as_const(value));
    else return static_cast<Value>(value);
  }

  ZipReader<Range> items_;
};

}  // namespace procpool::detail
