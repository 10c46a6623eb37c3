// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The pool of worker processes.

#include <sys/types.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/detail/pool/array_memory.hpp>
#include <procpool/detail/pool/pool_core.hpp>
#include <procpool/pool/pool_options.hpp>
#include <procpool/pool/pool_stats.hpp>
#include <procpool/pool/pool_with_terms.hpp>
#include <procpool/pool/shared_array.hpp>
#include <procpool/pool/verbs.hpp>

namespace procpool {

namespace detail {

/// In a process that did not make the pool its end does nothing: the pool's thread is not there, nor its memory.
struct DeleteAtHome {
  void operator()(PoolCore* core) const noexcept {
    if (core->exchange().home.is_here()) delete core;
  }
};
using CorePointer = std::unique_ptr<PoolCore, DeleteAtHome>;

template <class State, class Initializer>
[[nodiscard]] CorePointer make_core(PoolOptions options, Initializer initializer) {
  const CoreOptions core_terms = core_options(options);
  WorkerProgram program = worker_program(std::move(options));
  // Shared, because what it captures may be movable only.
  const auto shared = std::make_shared<Initializer>(std::move(initializer));
  if constexpr (std::is_void_v<State>) {
    program.make_state = [shared]() -> std::shared_ptr<void> {
      std::invoke(*shared);
      return nullptr;
    };
  } else {
    program.state_type = &typeid(State);
    program.make_state = [shared]() -> std::shared_ptr<void> {
      return std::shared_ptr<State>(new State(std::invoke(*shared)));  // elides the copy of what cannot be moved
    };
  }
  return CorePointer(new PoolCore(core_terms, std::move(program)));
}

}  // namespace detail

/// Worker processes that run tasks, made at once by the constructor and joined by the destructor. A worker that dies
/// fails the one task (of a map: the one item) that it ran, and is replaced.
///
/// Neither copied nor moved. Any thread of the process that made it may use it at any time; in any other process every
/// call is a UsageError, and the destructor does nothing. Workers see the memory of the process as it was when the pool
/// was made: make the pool before the data, and before threads where you can.
///
/// `State` is what the initializer returns: one in each worker, destroyed when the worker ends in order.
template <class State = void>
class ProcessPool : public Verbs<ProcessPool<State>, State> {
 public:
  /// One worker per usable CPU.
  ProcessPool() : ProcessPool(PoolOptions{}) {}

  /// `workers` processes; 0: one per usable CPU. UsageError if negative or above 4095.
  template <std::integral Count>
    requires(!std::same_as<Count, bool>)
  explicit ProcessPool(Count workers) : ProcessPool(detail::options_for(workers)) {}

  /// Throws UsageError for options that make no sense, SharedMemoryExhausted or std::system_error if the system refuses
  /// memory or processes, and what PoolOptions::preload throws.
  explicit ProcessPool(PoolOptions options)
    requires std::is_void_v<State>
      : ProcessPool(std::move(options), [] {}) {}

  /// `initializer()` runs first in each worker and may capture anything; what it returns is the worker's State. If it
  /// throws, the pool is broken: open futures fail with BrokenPool, which nests the error.
  template <std::integral Count, class Initializer>
    requires(!std::same_as<Count, bool>)
  ProcessPool(Count workers, Initializer initializer)
      : ProcessPool(detail::options_for(workers), std::move(initializer)) {}
  template <class Initializer>
  ProcessPool(PoolOptions options, Initializer initializer) {
    core_ = detail::make_core<State>(std::move(options), std::move(initializer));  // In the workers it stays null.
  }

  ProcessPool(const ProcessPool&) = delete;
  ProcessPool& operator=(const ProcessPool&) = delete;

  /// Finishes what was submitted and joins the workers; while an exception unwinds the stack, it first cancels what has
  /// not started.
  ~ProcessPool() = default;

  /// The same verbs on other terms.
  [[nodiscard]] PoolWithTerms<State> with(const TaskOptions& options) const {
    return PoolWithTerms<State>(core(), options);
  }

  /// `count` value-initialized elements in memory that all workers have already. Waits while tasks whose futures were
  /// dropped hold arrays whose memory it needs. UsageError if `count` is negative; SharedMemoryExhausted, PoolClosed,
  /// BrokenPool.
  template <class T, std::integral Count>
    requires(!std::same_as<Count, bool>)
  [[nodiscard]] SharedArray<T> make_array(Count count) const {
    auto memory = detail::make_array_memory(core(), detail::array_bytes(count, sizeof(T)));
    T* const elements = reinterpret_cast<T*>(memory->data());
    std::uninitialized_value_construct_n(elements, static_cast<std::size_t>(count));
    return SharedArray<T>(detail::SharedElements<T>(elements, static_cast<std::size_t>(count), std::move(memory)));
  }

  /// From now on there are `workers` processes, 0: one per usable CPU. Returns at once: new ones begin with their
  /// initializer, and those with the highest indices leave when they have ended the task in hand. Waits for a
  /// run_on_each_worker(). UsageError if negative, or above four times the number that the pool was made with, where
  /// that is above 64; PoolClosed.
  template <std::integral Count>
  void resize(Count workers) {
    core().resize(detail::core_options(detail::options_for(workers)).workers);
  }

  /// No more tasks are taken (PoolClosed); those submitted still run.
  void close() { core().close(); }

  /// Cancels every task that no worker has claimed; their futures throw Cancelled.
  void cancel_pending() { core().cancel_pending(); }

  /// After close(): waits until all tasks have ended and the workers are gone. UsageError before close().
  void join() { core().join(std::nullopt); }
  /// As join(); false if tasks are left after `duration`, and then the workers go on.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(std::chrono::duration<Rep, Period> duration) {
    return core().join(detail::deadline_in(duration));
  }

  /// Kills the workers. Open futures fail with PoolClosed; finished ones keep their results.
  void terminate() { core().terminate(); }

  /// Waits until no task waits or runs. Everything that the tasks' results hold is visible then. Other threads may
  /// submit meanwhile: then it waits for theirs too.
  void wait_idle() { core().wait_idle(std::nullopt); }
  /// As wait_idle(); false if tasks are left after `duration`.
  template <class Rep, class Period>
  [[nodiscard]] bool wait_idle_for(std::chrono::duration<Rep, Period> duration) {
    return core().wait_idle(detail::deadline_in(duration));
  }

  /// What each worker was doing at some moment during the call.
  [[nodiscard]] std::vector<WorkerInfo> workers() const { return detail::describe_workers(core()); }

  /// Counts of the pool's whole life, consistent with each other but for what happens during the call. Looks at every
  /// slot in use.
  [[nodiscard]] PoolStats stats() const { return detail::gather_stats(core()); }

  /// For the verbs.
  [[nodiscard]] detail::Sender sender() const { return detail::Sender{&core()}; }
  [[nodiscard]] static std::size_t block_size() noexcept { return 0; }

 private:
  [[nodiscard]] detail::PoolCore& core() const {
    if (core_) return *core_;
    throw UsageError(
        "a pool was used inside one of its own workers, or while it was made; a task cannot submit tasks: return what "
        "is to be done next, and submit it where the pool was made");
  }

  detail::CorePointer core_;
};

ProcessPool() -> ProcessPool<>;
template <std::integral Count>
ProcessPool(Count) -> ProcessPool<>;
ProcessPool(PoolOptions) -> ProcessPool<>;
template <std::integral Count, class Initializer>
ProcessPool(Count, Initializer) -> ProcessPool<std::decay_t<std::invoke_result_t<Initializer&>>>;
template <class Initializer>
ProcessPool(PoolOptions, Initializer) -> ProcessPool<std::decay_t<std::invoke_result_t<Initializer&>>>;

}  // namespace procpool
