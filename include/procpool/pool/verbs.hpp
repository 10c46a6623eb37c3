// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The verbs that send work, written once for all that can send: a pool, and a pool with other terms.

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/detail/pool/array_blocks.hpp>
#include <procpool/detail/pool/async_map_job.hpp>
#include <procpool/detail/pool/broadcast.hpp>
#include <procpool/detail/pool/lazy_job.hpp>
#include <procpool/detail/pool/reduction.hpp>
#include <procpool/detail/pool/task_requirements.hpp>
#include <procpool/future/future.hpp>
#include <procpool/pool/lazy_results.hpp>
#include <procpool/pool/shared_array.hpp>

namespace procpool {

/// `Self` has `sender()` and `block_size()`; `State` is what the pool's initializer returns, or void.
///
/// In each verb `f` is a callable that may cross (see the README, "What may cross") and is called in a worker with
/// copies of the arguments; the worker's State& is passed first if f cannot be called without it. What f returns is
/// copied back. Errors of sending are thrown by the verb: UsageError (f points into this process's memory; the pool is
/// used in a worker or after a fork), PoolClosed, BrokenPool, SharedMemoryExhausted, and what the arguments' own code
/// throws. Errors of the task are thrown by whoever reads its result: the task's own exception, WorkerDied, Cancelled,
/// BrokenPool, PoolClosed, SerializationError, SharedMemoryExhausted.
template <class Self, class State>
class Verbs {
 public:
  /// Runs f(args...) once. Returns at once, or waits while the queue is full (PoolOptions::queue_capacity,
  /// queue_bytes), or while tasks whose futures were dropped hold the memory that it needs. The future may be dropped:
  /// the task runs all the same, and a failure is counted in stats().
  template <class F, class... Args>
  auto submit(const F& f, Args&&... args) const;

  /// As submit(), but empty where that would wait.
  template <class F, class... Args>
  auto try_submit(const F& f, Args&&... args) const;

  /// f of each item, or of the items of several ranges side by side up to the end of the shortest: a vector in their
  /// order. All items are finished when it returns or throws; it throws the failure with the lowest position. Results
  /// that wait to be taken keep within half the memory for results, if those to come are no larger.
  template <class F, detail::InputRange... Ranges>
    requires(sizeof...(Ranges) > 0)
  auto map(const F& f, Ranges&&... ranges) const;
  template <class F, class T>
  auto map(const F& f, std::initializer_list<T> items) const {
    return map(f, items.begin() == nullptr ? std::vector<T>{} : std::vector<T>(items));
  }

  /// map() over a range of tuples, each the arguments of one call.
  template <class F, detail::InputRange Range>
  auto starmap(const F& f, Range&& tuples) const;

  /// As map() and starmap(), but all is read and sent before it returns, and the results come as one future. The shared
  /// memory should have room for all of it.
  template <class F, detail::InputRange... Ranges>
    requires(sizeof...(Ranges) > 0)
  auto map_async(const F& f, Ranges&&... ranges) const;
  template <class F, detail::InputRange Range>
  auto starmap_async(const F& f, Range&& tuples) const;

  /// As map(), for what it does: `f` may return anything, which is dropped.
  template <class F, detail::InputRange... Ranges>
    requires(sizeof...(Ranges) > 0)
  void for_each(const F& f, Ranges&&... ranges) const;

  /// As map(), but a value or an exception for each item: std::vector<Outcome<R>>.
  template <class F, detail::InputRange... Ranges>
    requires(sizeof...(Ranges) > 0)
  auto map_outcomes(const F& f, Ranges&&... ranges) const;

  /// The results one by one, in order, as a range. At most TaskOptions::read_ahead items are in flight or waiting to be
  /// read, and of their bytes, beyond a chunk for each worker, at most PoolOptions::queue_bytes. An lvalue range must
  /// outlive what is returned; the pool need not, but behind what was sent by its end comes PoolClosed. What the ranges
  /// throw comes behind the items before it.
  template <class F, detail::InputRange... Ranges>
    requires(sizeof...(Ranges) > 0)
  auto imap(const F& f, Ranges&&... ranges) const;

  /// As imap(), in the order in which they finish.
  template <class F, detail::InputRange... Ranges>
    requires(sizeof...(Ranges) > 0)
  auto imap_unordered(const F& f, Ranges&&... ranges) const;

  /// As imap_unordered(), as Outcomes; Outcome::position() says which item.
  template <class F, detail::InputRange... Ranges>
    requires(sizeof...(Ranges) > 0)
  auto imap_unordered_outcomes(const F& f, Ranges&&... ranges) const;

  /// op(...op(op(init, f(x0)), f(x1))..., f(xn)), computed in parts: op must be associative, need not be commutative,
  /// and is used in the workers and here. The result has init's type. All items are finished when it returns or throws,
  /// whether an item or `op` fails.
  template <class F, class Op, class T, detail::InputRange... Ranges>
    requires(sizeof...(Ranges) > 0)
  T map_reduce(const F& f, const Op& op, T init, Ranges&&... ranges) const;

  /// f of each block of an array, as a std::span<T> that it may write to: a vector of what it returns, in the order of
  /// the blocks; void if it returns nothing. All blocks are finished when it returns or throws, as map() does, and a
  /// block is to TaskOptions what an item of map() is. Blocks have TaskOptions::chunk_size elements, the last perhaps
  /// less; if that is 0, whole cache lines, several blocks for each worker, the same each time.
  template <class F, class T>
  auto map_blocks(const F& f, const SharedArray<T>& array) const;

  /// f(args...) exactly once in each worker: the results by worker index. One such call at a time.
  template <class F, class... Args>
  auto run_on_each_worker(const F& f, const Args&... args) const;

 private:
  [[nodiscard]] detail::Sender terms() const { return static_cast<const Self&>(*this).sender(); }

  template <class Reader, class F>
  static constexpr bool is_sendable() {
    return Reader::template with_sent<detail::TaskRequirements, State, F>::check();
  }
  template <class Reader, class F>
  using ChunkCallOf = typename Reader::template with_sent<detail::ChunkCall, F, State>;

  template <class F, class Reader>
  auto run_to_vector(const F& f, Reader reader) const;
  template <class F, class Reader>
  auto run_async(const F& f, Reader reader) const;
  template <template <class> class Sink, class F, class Reader>
  static auto run_into(const detail::Sender& terms, const F& f, Reader reader);
  template <bool GivesOutcomes, class InFlight, class F, class Reader>
  auto run_lazily(const F& f, Reader reader) const;
  template <class F>
  static detail::Sender checked(detail::Sender terms, const F& f, detail::TaskFunction run) {
    terms.core->require_home();
    terms.check(f, run);
    return terms;
  }
};

template <class Self, class State>
template <class F, class... Args>
auto Verbs<Self, State>::submit(const F& f, Args&&... args) const {
  using Function = std::decay_t<const F&>;
  if constexpr (detail::TaskRequirements<State, Function, detail::sent_t<Args>...>::check()) {
    using R = detail::call_result_t<Function, State, detail::sent_t<Args>...>;
    return Future<R>(*terms().template send<State, Function>(true, f, std::forward<Args>(args)...));
  }
}

template <class Self, class State>
template <class F, class... Args>
auto Verbs<Self, State>::try_submit(const F& f, Args&&... args) const {
  using Function = std::decay_t<const F&>;
  if constexpr (detail::TaskRequirements<State, Function, detail::sent_t<Args>...>::check()) {
    using R = detail::call_result_t<Function, State, detail::sent_t<Args>...>;
    std::optional<Future<R>> future;
    auto handle = terms().template send<State, Function>(false, f, std::forward<Args>(args)...);
    if (handle) future.emplace(std::move(*handle));
    return future;
  }
}

template <class Self, class State>
template <template <class> class Sink, class F, class Reader>
auto Verbs<Self, State>::run_into(const detail::Sender& terms, const F& f, Reader reader) {
  using ThisCall = ChunkCallOf<Reader, F>;
  using R = typename ThisCall::Result;
  const detail::Sender sender = checked(terms, f, ThisCall::run);
  detail::ChunkSender<ThisCall, Reader> chunks(sender, f, std::move(reader));
  Sink<R> sink;
  detail::run_map(sender, chunks, sink);
  return sink.finish();
}

template <class Self, class State>
template <class F, class Reader>
auto Verbs<Self, State>::run_to_vector(const F& f, Reader reader) const {
  if constexpr (is_sendable<Reader, F>()) {
    static_assert(!std::is_void_v<typename ChunkCallOf<Reader, F>::Result>,
                  "procpool: map() needs a function that returns a value; use for_each() for one that returns void");
    return run_into<detail::SinkOfValues, F>(terms(), f, std::move(reader));
  }
}

template <class Self, class State>
template <class F, class Reader>
auto Verbs<Self, State>::run_async(const F& f, Reader reader) const {
  if constexpr (is_sendable<Reader, F>()) {
    using ThisCall = ChunkCallOf<Reader, F>;
    using R = typename ThisCall::Result;
    using Sink = detail::SinkOfValues<R>;
    const detail::Sender sender = checked(terms(), f, ThisCall::run);
    detail::ChunkSender<ThisCall, Reader> chunks(sender, f, std::move(reader));
    const auto job = std::make_shared<detail::AsyncMapInto<Sink>>(sender, chunks.remaining());
    return Future<decltype(std::declval<Sink&>().finish())>(job->start(sender, chunks));
  }
}

template <class Self, class State>
template <bool GivesOutcomes, class InFlight, class F, class Reader>
auto Verbs<Self, State>::run_lazily(const F& f, Reader reader) const {
  if constexpr (is_sendable<Reader, F>()) {
    using ThisCall = ChunkCallOf<Reader, F>;
    using R = typename ThisCall::Result;
    static_assert(GivesOutcomes || !std::is_void_v<R>,
                  "procpool: imap() needs a function that returns a value; use for_each() for one that returns void");
    using Job = detail::LazyJob<R, InFlight>;
    const detail::Sender sender = checked(terms(), f, ThisCall::run);
    return LazyResults<R, Job, GivesOutcomes>(std::make_unique<Job>(
        sender, std::make_unique<detail::ChunkSender<ThisCall, Reader>>(sender, f, std::move(reader))));
  }
}

template <class Self, class State>
template <class F, detail::InputRange... Ranges>
  requires(sizeof...(Ranges) > 0)
auto Verbs<Self, State>::map(const F& f, Ranges&&... ranges) const {
  return run_to_vector<std::decay_t<const F&>>(f, detail::ZipReader<Ranges...>(std::forward<Ranges>(ranges)...));
}

template <class Self, class State>
template <class F, detail::InputRange Range>
auto Verbs<Self, State>::starmap(const F& f, Range&& tuples) const {
  return run_to_vector<std::decay_t<const F&>>(f, detail::StarReader<Range>(std::forward<Range>(tuples)));
}

template <class Self, class State>
template <class F, detail::InputRange... Ranges>
  requires(sizeof...(Ranges) > 0)
auto Verbs<Self, State>::map_async(const F& f, Ranges&&... ranges) const {
  return run_async<std::decay_t<const F&>>(f, detail::ZipReader<Ranges...>(std::forward<Ranges>(ranges)...));
}

template <class Self, class State>
template <class F, detail::InputRange Range>
auto Verbs<Self, State>::starmap_async(const F& f, Range&& tuples) const {
  return run_async<std::decay_t<const F&>>(f, detail::StarReader<Range>(std::forward<Range>(tuples)));
}

template <class Self, class State>
template <class F, detail::InputRange... Ranges>
  requires(sizeof...(Ranges) > 0)
void Verbs<Self, State>::for_each(const F& f, Ranges&&... ranges) const {
  using Function = std::decay_t<const F&>;
  using Reader = detail::ZipReader<Ranges...>;
  if constexpr (is_sendable<Reader, Function>()) {
    run_into<detail::SinkOfNothing, Function>(terms(), f, Reader(std::forward<Ranges>(ranges)...));
  }
}

template <class Self, class State>
template <class F, detail::InputRange... Ranges>
  requires(sizeof...(Ranges) > 0)
auto Verbs<Self, State>::map_outcomes(const F& f, Ranges&&... ranges) const {
  using Function = std::decay_t<const F&>;
  using Reader = detail::ZipReader<Ranges...>;
  if constexpr (is_sendable<Reader, Function>()) {
    return run_into<detail::OutcomesOf, Function>(terms(), f, Reader(std::forward<Ranges>(ranges)...));
  }
}

template <class Self, class State>
template <class F, detail::InputRange... Ranges>
  requires(sizeof...(Ranges) > 0)
auto Verbs<Self, State>::imap(const F& f, Ranges&&... ranges) const {
  return run_lazily<false, detail::OldestFirst, std::decay_t<const F&>>(
      f, detail::ZipReader<Ranges...>(std::forward<Ranges>(ranges)...));
}

template <class Self, class State>
template <class F, detail::InputRange... Ranges>
  requires(sizeof...(Ranges) > 0)
auto Verbs<Self, State>::imap_unordered(const F& f, Ranges&&... ranges) const {
  return run_lazily<false, detail::ChunksInFlight, std::decay_t<const F&>>(
      f, detail::ZipReader<Ranges...>(std::forward<Ranges>(ranges)...));
}

template <class Self, class State>
template <class F, detail::InputRange... Ranges>
  requires(sizeof...(Ranges) > 0)
auto Verbs<Self, State>::imap_unordered_outcomes(const F& f, Ranges&&... ranges) const {
  return run_lazily<true, detail::ChunksInFlight, std::decay_t<const F&>>(
      f, detail::ZipReader<Ranges...>(std::forward<Ranges>(ranges)...));
}

template <class Self, class State>
template <class F, class Op, class T, detail::InputRange... Ranges>
  requires(sizeof...(Ranges) > 0)
T Verbs<Self, State>::map_reduce(const F& f, const Op& op, T init, Ranges&&... ranges) const {
  using Function = std::decay_t<const F&>;
  using Operation = std::decay_t<const Op&>;
  using Reader = detail::ZipReader<Ranges...>;
  if constexpr (is_sendable<Reader, Function>() && detail::TaskRequirements<void, Operation, T, T>::check()) {
    using ThisCall = typename Reader::template with_sent<detail::ChunkReduction, T, Operation, Function, State>;
    const detail::Sender sender = checked<Operation>(checked<Function>(terms(), f, ThisCall::run), op, ThisCall::run);
    detail::ChunkSender<ThisCall, Reader> chunks(sender, detail::MapAndReduce<Function, Operation>{f, op},
                                                 Reader(std::forward<Ranges>(ranges)...));
    detail::ReductionSink<T, Operation> sink(std::move(init), op);
    detail::run_map(sender, chunks, sink);
    return sink.finish();
  }
}

template <class Self, class State>
template <class F, class T>
auto Verbs<Self, State>::map_blocks(const F& f, const SharedArray<T>& array) const {
  using Function = std::decay_t<const F&>;
  using Reader = detail::ZipReader<detail::ArrayBlocks<T>>;
  if constexpr (is_sendable<Reader, Function>()) {
    detail::Sender sender = terms();
    sender.chunk_size = 1;  // of those blocks
    std::size_t size = static_cast<const Self&>(*this).block_size();
    if (size == 0) size = detail::elements_per_block<T>(array.size(), sender.core->workers());
    return run_into<detail::SinkOfValues, Function>(sender, f, Reader(detail::ArrayBlocks<T>(array.elements(), size)));
  }
}

template <class Self, class State>
template <class F, class... Args>
auto Verbs<Self, State>::run_on_each_worker(const F& f, const Args&... args) const {
  using Function = std::decay_t<const F&>;
  if constexpr (detail::TaskRequirements<State, Function, detail::sent_t<const Args&>...>::check()) {
    return detail::broadcast<State, Function>(terms(), f, args...);
  }
}

}  // namespace procpool
