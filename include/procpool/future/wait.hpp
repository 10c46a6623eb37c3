// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Waiting for several futures, which stay as they are: their results are taken afterwards.

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include <procpool/detail/task/future_set.hpp>
#include <procpool/future/future_range.hpp>

namespace procpool::detail {

/// Futures, perhaps none, and something else behind them.
template <class... All>
inline constexpr bool are_futures_and_time = false;
template <class First, class... Rest>
inline constexpr bool are_futures_and_time<First, Rest...> = is_future<First> && are_futures_and_time<Rest...>;
template <class Time>
inline constexpr bool are_futures_and_time<Time> = !is_future<Time>;

}  // namespace procpool::detail

namespace procpool {

/// Waits until every task has ended; what they wrote to shared memory is visible then.
template <AnyFuture... Futures>
void wait_all(const Futures&... futures) {
  (futures.wait(), ...);
}
template <FutureRange R>
void wait_all(R&& futures) {
  for (const auto& future : futures) future.wait();
}

/// The same, at most for `time`. False if one had not ended by then.
template <FutureRange R, class Rep, class Period>
bool wait_all_for(R&& futures, const std::chrono::duration<Rep, Period>& time);

/// The same, at most until `time`.
template <FutureRange R, class Clock, class Duration>
bool wait_all_until(R&& futures, const std::chrono::time_point<Clock, Duration>& time);

/// `wait_all_for(a, b, …, time)` and `wait_all_until(a, b, …, time)` do the same.
template <AnyFuture First, class... RestAndTime>
  requires(detail::are_futures_and_time<RestAndTime...>)
bool wait_all_for(const First& first, const RestAndTime&... rest_and_time);
template <AnyFuture First, class... RestAndTime>
  requires(detail::are_futures_and_time<RestAndTime...>)
bool wait_all_until(const First& first, const RestAndTime&... rest_and_time);

/// Waits until one task has ended, and says which: the first in the range of those that have ended already, else
/// whichever ends first. Throws UsageError if the range is empty. The futures may be of several pools.
template <FutureRange R>
[[nodiscard]] std::size_t wait_any(R&& futures);

/// The same, at most for `time`, or until `time`. Empty if none had ended by then.
template <FutureRange R, class Rep, class Period>
[[nodiscard]] std::optional<std::size_t> wait_any_for(R&& futures, const std::chrono::duration<Rep, Period>& time);
template <FutureRange R, class Clock, class Duration>
[[nodiscard]] std::optional<std::size_t> wait_any_until(R&& futures,
                                                        const std::chrono::time_point<Clock, Duration>& time);

/// Waits until one task has failed, and says which, or until all have ended: empty. One that was cancelled has not
/// failed.
template <FutureRange R>
[[nodiscard]] std::optional<std::size_t> wait_first_exception(R&& futures);

}  // namespace procpool

namespace procpool::detail {

[[nodiscard]] inline bool wait_each(std::span<const ResultHandle* const> tasks, const Deadline& deadline) {
  for (const ResultHandle* task : tasks) {
    if (!task->wait(deadline)) return false;
  }
  return true;
}

[[nodiscard]] inline std::optional<std::size_t> wait_one(std::span<const ResultHandle* const> tasks,
                                                         const Deadline& deadline) {
  if (tasks.empty()) throw UsageError("wait_any() of no futures would wait for ever");
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i]->is_ready()) return i;
  }
  return FutureSet(tasks).next(deadline);
}

[[nodiscard]] inline std::optional<std::size_t> wait_failed(std::span<const ResultHandle* const> tasks) {
  if (tasks.empty()) return std::nullopt;
  for (FutureSet set(tasks); set.size() > 0;) {
    const std::size_t ended = *set.next(std::nullopt);
    if (tasks[ended]->has_failed()) return ended;
  }
  return std::nullopt;
}

/// The futures at the front of `all`, until `deadline_of` the time at its end.
template <class DeadlineOf, class... All, std::size_t... I>
[[nodiscard]] bool wait_front(DeadlineOf deadline_of, const std::tuple<const All&...>& all, std::index_sequence<I...>) {
  const ResultHandle* const tasks[] = {std::addressof(FutureAccess::task(std::get<I>(all)))...};
  return wait_each(tasks, deadline_of(std::get<sizeof...(I)>(all)));
}

}  // namespace procpool::detail

namespace procpool {

template <FutureRange R, class Rep, class Period>
bool wait_all_for(R&& futures, const std::chrono::duration<Rep, Period>& time) {
  const detail::Deadline deadline = detail::deadline_in(time);
  return detail::wait_each(detail::tasks_of(futures), deadline);
}

template <FutureRange R, class Clock, class Duration>
bool wait_all_until(R&& futures, const std::chrono::time_point<Clock, Duration>& time) {
  return detail::wait_each(detail::tasks_of(futures), detail::deadline_at(time));
}

template <AnyFuture First, class... RestAndTime>
  requires(detail::are_futures_and_time<RestAndTime...>)
bool wait_all_for(const First& first, const RestAndTime&... rest_and_time) {
  return detail::wait_front([](const auto& time) { return detail::deadline_in(time); },
                            std::tie(first, rest_and_time...), std::index_sequence_for<RestAndTime...>());
}

template <AnyFuture First, class... RestAndTime>
  requires(detail::are_futures_and_time<RestAndTime...>)
bool wait_all_until(const First& first, const RestAndTime&... rest_and_time) {
  return detail::wait_front([](const auto& time) { return detail::deadline_at(time); },
                            std::tie(first, rest_and_time...), std::index_sequence_for<RestAndTime...>());
}

template <FutureRange R>
std::size_t wait_any(R&& futures) {
  return *detail::wait_one(detail::tasks_of(futures), std::nullopt);
}

template <FutureRange R, class Rep, class Period>
std::optional<std::size_t> wait_any_for(R&& futures, const std::chrono::duration<Rep, Period>& time) {
  const detail::Deadline deadline = detail::deadline_in(time);
  return detail::wait_one(detail::tasks_of(futures), deadline);
}

template <FutureRange R, class Clock, class Duration>
std::optional<std::size_t> wait_any_until(R&& futures, const std::chrono::time_point<Clock, Duration>& time) {
  return detail::wait_one(detail::tasks_of(futures), detail::deadline_at(time));
}

template <FutureRange R>
std::optional<std::size_t> wait_first_exception(R&& futures) {
  return detail::wait_failed(detail::tasks_of(futures));
}

}  // namespace procpool
