// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A pool and the terms on which a verb sends tasks to it.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <procpool/detail/pool/pool_core.hpp>
#include <procpool/detail/pool/task_progress.hpp>
#include <procpool/detail/task/call.hpp>
#include <procpool/detail/task/cancel_together.hpp>
#include <procpool/task/priority.hpp>
#include <procpool/task/progress.hpp>

namespace procpool::detail {

/// Safe to keep while the pool lives.
struct Sender {
  PoolCore* core;
  Priority priority = Priority::normal;
  std::size_t chunk_size = 0;
  std::size_t read_ahead = 0;
  std::shared_ptr<const std::string> label_text = {};
  std::function<void(const Progress&)> progress = {};
  SupervisedTerms supervised = {};
  int retries_on_exception = 0;
  bool measure = false;

  [[nodiscard]] std::string_view label() const noexcept { return label_text ? *label_text : std::string_view{}; }

  /// What of the terms goes with each task.
  [[nodiscard]] GivenTerms given_terms() const noexcept {
    return {label(), nullptr, nullptr, retries_on_exception, &supervised};
  }

  [[nodiscard]] RingName ring() const noexcept {
    return priority == Priority::normal ? RingName::normal
           : priority == Priority::high ? RingName::high
                                        : RingName::low;
  }

  /// Refuses a callable that the workers do not have, or that points into this process's private memory.
  template <class F>
  void check(const F& function, TaskFunction run) const {
    check_code(reinterpret_cast<const void*>(run));
    if (const void* code = code_address(function)) check_code(code);
    check_captures(function);
  }

  /// Refuses a task that was given arrays of another pool.
  void require_own(const TaskNote& note) const {
    if (note.kept && !note.kept->are_of(core->exchange().data)) refuse_array();
  }

  /// Sends one call. Empty if `waits` is false and the queue is full, or tasks that nobody waits for hold its memory.
  template <class State, class F, class... Args>
  [[nodiscard]] std::optional<ResultHandle> send(bool waits, const F& function, Args&&... args) const;

 private:
  void check_code(const void* code) const {
    if (!core->modules().has_code_at(code)) refuse_code(code);
  }
  [[noreturn, gnu::cold]] static void refuse_array() {
    throw UsageError(
        "a SharedArray was sent to the workers of another pool than the one that made it, and they do not have its "
        "memory: make it with this pool's make_array()");
  }
  [[noreturn]] static void refuse_code(const void* code) {
    throw UsageError("the function of a task lies in " + module_of(code) +
                     ", which was loaded after the pool was made, so the workers do not have it: load it before, or "
                     "make another pool");
  }
};

template <class State, class F, class... Args>
std::optional<ResultHandle> Sender::send(bool waits, const F& function, Args&&... args) const {
  using ThisCall = Call<F, State, sent_t<Args>...>;
  core->require_home();
  check(function, ThisCall::run);
  GivenTerms terms = given_terms();
  std::optional<ProgressFollower> follower;
  SharedBlock numbers;
  if (progress || measure) {
    numbers = core->allocate(core->exchange().data, sizeof(TaskNumbers), waits);
    if (!numbers) return std::nullopt;
    auto* reported = ::new (numbers.data()) TaskNumbers;
    if (progress) {
      terms.progress = &reported->progress;
      follower.emplace(core->exchange().dispatcher, reported->progress, progress, label_text);
    }
    if (measure) terms.usage = &reported->usage;
  }
  OutgoingTask task = ThisCall::send(
      terms,
      [&](TaskNote& note, std::size_t bytes) {
        require_own(note);
        return core->allocate_arguments(ring(), note, bytes, waits);
      },
      function, std::forward<Args>(args)...);
  if (!task.has_room) return std::nullopt;
  if (numbers) {
    task.make_note().results = std::move(numbers);
    task.make_note().is_measured = measure;
  }
  std::optional<ResultHandle> handle = core->enqueue(ring(), task.record, std::move(task.note), waits);
  if (follower && handle) keep_or_cancel(*handle, [&] { follower->follow(*handle); });
  return handle;
}

}  // namespace procpool::detail
