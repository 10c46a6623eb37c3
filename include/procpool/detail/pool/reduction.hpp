// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// map_reduce: each chunk is reduced where it runs, and the chunks in the order of their items.

#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include <procpool/detail/pool/chunk_sender.hpp>
#include <procpool/detail/pool/map_sinks.hpp>

namespace procpool::detail {

/// The function of the items and the one that combines two results, sent together.
template <class F, class Op>
struct MapAndReduce {
  F map;
  Op reduce;
};

/// A chunk whose result is the reduction of its items to one T. An item that fails makes the reduction fail, so that
/// nothing of a chunk need survive its worker but the failures.
template <class T, class Op, class F, class State, class... Sent>
class ChunkReduction {
  using Items = ChunkCall<F, State, Sent...>;

 public:
  static void encode(Encoding& encoding, const MapAndReduce<F, Op>& functions) {
    encode_callable(encoding, functions.map);
    encode_callable(encoding, functions.reduce);
  }

  static void run(TaskContext& context) {
    run_guarded(
        [&context] {
          ChunkRun chunk(context);
          auto& [map, reduce] = cache().get(chunk.prefix(), [](Decoder& decoder) {
            return MapAndReduce<F, Op>{decode_callable<F>(decoder), decode_callable<Op>(decoder)};
          });
          std::optional<T> reduced;
          const auto run_item = [&context, &chunk, &map, &reduce, &reduced, places = chunk.places(),
                                 watch = ForkWatch()](std::size_t i) {
            const auto call = [&] { return T(Items::call_item(places, i, map, context.worker.state)); };
            T item = try_often(context.worker, call);
            // A T of its own, for what `reduce` returns may refer to what it was given.
            if (reduced) item = T(std::invoke(reduce, std::move(*reduced), std::move(item)));
            reduced.emplace(std::move(item));
            if (watch.may_have_forked()) chunk.leave_if_forked();
            return true;
          };
          chunk.run(run_item, false);
          if (reduced && context.result.kind == ResultKind::none) write_result(context, *reduced);
        },
        [&context](const std::exception_ptr& thrown) { write_exception(context, thrown); });
  }

  static constexpr ChunkKind kind{run, 0, false, true};

 private:
  static CallableCache<MapAndReduce<F, Op>>& cache() {
    static CallableCache<MapAndReduce<F, Op>> callables;
    return callables;
  }
};

/// Combines the results of chunks as they come, in the order of their positions.
template <class T, class Op>
class ReductionSink final : public FirstFailure {
 public:
  ReductionSink(T init, Op op) : total_(std::move(init)), op_(std::move(op)) {}

  void put(const FinishedItems&) override {}
  void put_chunk(const SentChunk& chunk, const RawResult& result) override {
    // At the last position: of items that did not finish the collector tells as well.
    const std::size_t last = chunk.first + chunk.items - 1;
    if (const auto failure = failure_of(chunk.handle, result)) return fail(last, failure);
    if (result.header.kind == ResultKind::none) return;  // All of its items failed.
    try {
      waiting_.emplace(chunk.first, Part{chunk.items, value_of<T>(chunk.handle, result)});
    } catch (...) {
      return fail(last, std::current_exception());
    }
    combine();
  }

  [[nodiscard]] T finish() {
    this->rethrow();
    if (!waiting_.empty()) {
      throw SerializationError(
          "the result of a part of a map_reduce is missing; some worker's task wrote to memory that is not its own");
    }
    return std::move(total_);
  }

 private:
  struct Part {
    std::size_t items;
    T value;
  };

  /// What the user's code throws here waits, as any failure, until all items are finished. `op` may have ruined total_.
  void combine() {
    for (auto part = waiting_.begin(); !has_failed() && part != waiting_.end() && part->first == next_;
         part = waiting_.erase(part)) {
      next_ += part->second.items;
      try {
        total_ = T(std::invoke(op_, std::move(total_), std::move(part->second.value)));  // as in ChunkReduction::run()
      } catch (...) {
        fail(next_ - 1, std::current_exception());
      }
    }
  }

  T total_;
  Op op_;
  std::size_t next_ = 0;                 // position of the first item that is not in total_
  std::map<std::size_t, Part> waiting_;  // chunks behind one that has not ended
};

}  // namespace procpool::detail
