// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What counts as a future, and as a range of futures, where several are waited for.

#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/future/future.hpp>

namespace procpool {

/// A Future or a SharedFuture.
template <class F>
concept AnyFuture = detail::is_future<std::remove_cvref_t<F>>;

/// A range whose elements are futures, not made on the fly: a container or a view of one.
template <class R>
concept FutureRange = requires(R& range) {
  std::end(range);
  requires std::is_lvalue_reference_v<decltype(*std::begin(range))>;
  requires AnyFuture<decltype(*std::begin(range))>;
};

}  // namespace procpool

namespace procpool::detail {

/// The type of the elements, const if the range lets nobody change them.
template <class R>
using future_in_t = std::remove_reference_t<decltype(*std::begin(std::declval<R&>()))>;

/// The tasks behind the futures. Throws UsageError if one has no result here.
template <FutureRange R>
[[nodiscard]] std::vector<const ResultHandle*> tasks_of(R& range) {
  std::vector<const ResultHandle*> tasks;
  for (const auto& future : range) tasks.push_back(std::addressof(FutureAccess::task(future)));
  return tasks;
}

}  // namespace procpool::detail
