// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// One future of the values of several.

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <procpool/detail/task/gather.hpp>
#include <procpool/future/future_range.hpp>

namespace procpool::detail {

/// What stands for the value of a `Future<T>` in a tuple.
template <class T>
using gathered_t = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
gathered_t<T> take_gathered(ResultHandle& task) {
  if constexpr (std::is_void_v<T>) {
    take_result<void>(std::move(task));
    return {};
  } else {
    return take_result<T>(std::move(task));
  }
}

template <class... T>
class TupleGather final : public Gather {
 public:
  using Gather::Gather;
  using Result = std::tuple<gathered_t<T>...>;

 private:
  std::shared_ptr<void> collect(std::vector<ResultHandle>& parts) override {
    return collect_each(parts, std::index_sequence_for<T...>());
  }
  template <std::size_t... I>
  static std::shared_ptr<void> collect_each(std::vector<ResultHandle>& parts, std::index_sequence<I...>) {
    return std::make_shared<Result>(take_gathered<T>(parts[I])...);
  }
};

template <class T>
class RangeGather final : public Gather {
 public:
  using Gather::Gather;
  using Result = std::conditional_t<std::is_void_v<T>, void, std::vector<gathered_t<T>>>;

  [[nodiscard]] static std::shared_ptr<void> collect_all(std::vector<ResultHandle>& parts) {
    std::vector<gathered_t<T>> values;
    values.reserve(parts.size());
    for (ResultHandle& part : parts) values.push_back(take_gathered<T>(part));
    if constexpr (std::is_void_v<T>) return nullptr;
    else return std::make_shared<Result>(std::move(values));
  }

 private:
  std::shared_ptr<void> collect(std::vector<ResultHandle>& parts) override { return collect_all(parts); }
};

/// A task without a pool, that has ended with `value`.
[[nodiscard]] inline ResultHandle make_ready(std::shared_ptr<void> value) {
  constexpr std::size_t small = std::size_t{8} << 20;  // bytes, reserved only
  const std::unique_ptr<Exchange, Release> exchange(new Exchange({.total = small}, std::chrono::nanoseconds::zero()));
  exchange->dispatcher.finish();  // What continues it runs where it is continued.
  LocalTask task(*exchange);
  task.succeed(std::move(value));
  return task.take_future();
}

/// Throws UsageError if one is among them twice.
inline void require_distinct(std::vector<const ResultHandle*> tasks) {
  constexpr std::less<> by_address;
  if (!std::is_sorted(tasks.begin(), tasks.end(), by_address)) std::sort(tasks.begin(), tasks.end(), by_address);
  if (std::adjacent_find(tasks.begin(), tasks.end()) == tasks.end()) return;
  throw UsageError("when_all() was given the same future twice, whose value can be taken once; share() it instead");
}

template <class F>
inline constexpr bool is_consumable = false;
template <class T>
inline constexpr bool is_consumable<Future<T>> = true;

}  // namespace procpool::detail

namespace procpool {

/// Consumes futures, perhaps of several pools, and gives one of the tuple of their values (std::monostate for void). It
/// is ready when all tasks have ended; if some failed, it fails as the first of these did, by position. Its cancel()
/// cancels all, and is true if none of them had begun. If it throws UsageError, because one of them has no result or is
/// given twice, none is consumed; if it throws for want of memory, of a slot or of a thread, all are let go.
template <class... Futures>
  requires(sizeof...(Futures) > 0 && (detail::is_consumable<std::remove_reference_t<Futures>> && ...))
auto when_all(Futures&&... futures) {
  detail::require_distinct({std::addressof(detail::FutureAccess::task(futures))...});
  std::vector<detail::ResultHandle> parts;
  parts.reserve(sizeof...(Futures));
  (parts.push_back(detail::FutureAccess::take(futures)), ...);
  using Gather = detail::TupleGather<typename std::remove_reference_t<Futures>::value_type...>;
  return Future<typename Gather::Result>(Gather::start(std::make_shared<Gather>(std::move(parts))));
}

/// The same for a range of `Future<T>`: a future of a `std::vector<T>`, or of void.
template <FutureRange R>
  requires detail::is_consumable<detail::future_in_t<R>>
auto when_all(R&& futures) {
  using Gather = detail::RangeGather<typename detail::future_in_t<R>::value_type>;
  std::vector<detail::ResultHandle> parts;
  std::vector<const detail::ResultHandle*> tasks = detail::tasks_of(futures);
  parts.reserve(tasks.size());
  detail::require_distinct(std::move(tasks));
  for (auto& future : futures) parts.push_back(detail::FutureAccess::take(future));
  if (parts.empty()) return Future<typename Gather::Result>(detail::make_ready(Gather::collect_all(parts)));
  return Future<typename Gather::Result>(Gather::start(std::make_shared<Gather>(std::move(parts))));
}

}  // namespace procpool
