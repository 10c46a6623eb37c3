// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How a worker runs a chunk of a map: item by item, each published before the next begins.
///
/// Crash  an item that kills its worker is the one that `finished` names; what was finished before stays, and the
///        supervisor has the rest run elsewhere.

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>

#include <procpool/detail/os/process_identity.hpp>
#include <procpool/detail/os/stdio_flush.hpp>
#include <procpool/detail/task/call_shape.hpp>
#include <procpool/detail/task/chunk_builder.hpp>
#include <procpool/detail/task/chunk_header.hpp>
#include <procpool/detail/task/guarded.hpp>

namespace procpool::detail {

/// What becomes of the results of the items.
enum class ChunkResults {
  none,    ///< void
  dense,   ///< copied by memcpy into an array of the parent's
  blocks,  ///< encoded into outbox blocks, an ItemBlock for each
};

template <class R>
inline constexpr ChunkResults chunk_results_of = std::is_void_v<R>  ? ChunkResults::none
                                                 : is_flat_value<R> ? ChunkResults::dense
                                                                    : ChunkResults::blocks;

/// Bytes of the parent's block for the result of one item.
template <class R>
[[nodiscard]] consteval std::size_t chunk_result_size() noexcept {
  if constexpr (chunk_results_of<R> == ChunkResults::dense) return sizeof(R);
  else return chunk_results_of<R> == ChunkResults::blocks ? sizeof(ItemBlock) : 0;
}

/// What the sender of a chunk needs to know of its function.
struct ChunkKind {
  TaskFunction run;
  std::size_t result_size;  // bytes of the parent's block for each item
  bool has_item_blocks;     // those bytes are an ItemBlock
  bool has_own_result;      // the chunk itself has a result, without which its items are worth nothing
};

/// Sent once per map, decoded once per map and worker.
template <class F>
class CallableCache {
 public:
  /// Decodes by `decode(decoder)` if it is another than last time.
  template <class Decode>
  [[nodiscard]] F& get(const ChunkPrefix& prefix, Decode decode) {
    if (id_ != prefix.callable_id) {
      function_.reset();
      id_ = 0;  // until the decoding has succeeded
      Decoder decoder({prefix.callable, static_cast<std::size_t>(prefix.callable_size)});
      function_.reset(new F(decode(decoder)));
      id_ = prefix.callable_id;
    }
    return *function_;
  }

 private:
  std::uint64_t id_ = 0;
  // A std::optional asks whether F can be assigned: GCC 12 then forgets that a closure is trivially copyable.
  std::unique_ptr<F> function_;
};

/// Where the items of a chunk lie, and their results. Small, for a copy that the loop over them has for itself.
class ChunkPlaces {
 public:
  ChunkPlaces(const std::byte* block, std::size_t size, const ChunkPrefix& prefix) noexcept
      : items_(block + prefix.first_item, size - static_cast<std::size_t>(prefix.first_item)),
        offsets_(block + sizeof prefix), stride_(static_cast<std::size_t>(prefix.stride)),
        results_(prefix.results + sizeof(ChunkHeader)) {}

  /// The bytes of all items.
  [[nodiscard]] std::span<const std::byte> items() const noexcept { return items_; }
  [[nodiscard]] std::byte* results() const noexcept { return results_; }
  [[nodiscard]] std::size_t offset_of(std::size_t i) const noexcept {
    if (stride_ != 0) return i * stride_;
    std::uint64_t offset = 0;
    std::memcpy(&offset, offsets_ + i * sizeof offset, sizeof offset);
    return static_cast<std::size_t>(offset);
  }

 private:
  std::span<const std::byte> items_;
  const std::byte* offsets_;  // of encoded items
  std::size_t stride_;
  std::byte* results_;
};

/// The loop over the items of a chunk.
class ChunkRun {
 public:
  explicit ChunkRun(TaskContext& context) noexcept : context_(context) {
    std::memcpy(&prefix_, context.arguments().data(), sizeof prefix_);
  }

  [[nodiscard]] const ChunkPrefix& prefix() const noexcept { return prefix_; }
  [[nodiscard]] ChunkHeader& header() const noexcept { return *reinterpret_cast<ChunkHeader*>(prefix_.results); }
  [[nodiscard]] ChunkPlaces places() const noexcept {
    return {context_.arguments().data(), context_.arguments().size(), prefix_};
  }

  /// Runs the items that are left; `run_item(i)` calls, leaves if a fork of the user's comes back from that, and
  /// stores, in a block if `in_blocks`. False: the memory for results is exhausted, which now is the chunk's own
  /// result, for the items that are left. Ends early then, or if nobody wants the rest.
  ///
  /// An item may be a single addition. So what every item needs is to lie in registers: in locals, and in what
  /// `run_item` captures by value; of anything else the compiler must expect that a store to shared memory changes it.
  /// That is why it is always inlined, too: once for each function that a program maps.
  template <class RunItem>
  [[gnu::always_inline]] void run(RunItem run_item, bool in_blocks) {
    const auto begin = std::chrono::steady_clock::now();
    ChunkHeader& told = header();
    const std::uint64_t items = prefix_.items;
    StreamWatch streams;
    // relaxed: what an earlier worker or the supervisor stored was published with the slot's word.
    for (std::uint64_t i = told.finished.load(std::memory_order_relaxed); i < items; ++i) {
      // (2) acquire-load, pairs with (3) of result_handle.hpp: who finds that it has ended early knows why.
      if (told.is_unwanted.load(std::memory_order_acquire)) break;
      bool is_told = false;
      bool has_block = in_blocks;
      run_guarded([&] { is_told = run_item(static_cast<std::size_t>(i)); },
                  [&](const std::exception_ptr& thrown) { is_told = has_block = record_failure(i, thrown); });
      if (!is_told) break;
      if (streams.has_changed()) streams.flush();
      // (1) release-store, pairs with (1) of chunk_collector.hpp, (1) of exchange.hpp, (2) of repair.hpp: the result,
      // or the record of the failure, is there.
      told.finished.store(i + 1, std::memory_order_release);
      if (has_block) context_.outbox.published();
    }
    const auto elapsed = std::chrono::steady_clock::now() - begin;
    // relaxed: published with the slot's word
    const std::uint64_t before = told.elapsed.load(std::memory_order_relaxed);
    told.elapsed.store(before + static_cast<std::uint64_t>(elapsed.count()), std::memory_order_relaxed);
  }

  [[gnu::noinline, gnu::cold]] void leave_if_forked() const noexcept { context_.leave_if_forked(); }

  /// Stores the encoded result of item `i` and where it lies; false if there is no memory for it.
  template <class R>
  [[nodiscard]] bool store_block(const ChunkPlaces& places, std::size_t i, const R& value) {
    const ScratchEncoding encoding;
    encoding->add(value);
    ItemBlock block;
    std::byte* bytes = allocate(encoding->size(), i);
    if (bytes == nullptr) return false;
    encoding->write_to(bytes);
    block.address = std::bit_cast<std::uint64_t>(bytes);
    block.size = encoding->size();
    std::memcpy(places.results() + i * sizeof block, &block, sizeof block);
    return true;
  }

 private:
  /// Null: the memory for results is exhausted, which now is the chunk's result.
  [[nodiscard]] std::byte* allocate(std::size_t bytes, std::size_t item) {
    std::byte* block = context_.allocate_result(bytes, ResultKind::none, static_cast<std::uint32_t>(item));
    if (block != nullptr) context_.result = ResultHeader{};
    return block;
  }

  [[nodiscard]] bool record_failure(std::uint64_t item, const std::exception_ptr& thrown) noexcept {
    const EncodedException encoded = encode_exception(thrown);
    const ExceptionPrefix prefix{current_pid()};
    ChunkHeader& told = header();
    FailureRecord record;
    record.item = item;
    record.next = told.failures.load(std::memory_order_relaxed);  // relaxed: this worker alone writes it
    record.size = sizeof prefix + encoded.bytes().size();
    record.nth = told.failed.load(std::memory_order_relaxed) + 1;  // relaxed: as above
    std::byte* block = allocate(sizeof record + static_cast<std::size_t>(record.size), item);
    if (block == nullptr) return false;
    std::memcpy(block, &record, sizeof record);
    std::memcpy(block + sizeof record, &prefix, sizeof prefix);
    std::memcpy(block + sizeof record + sizeof prefix, encoded.bytes().data(), encoded.bytes().size());
    // relaxed: published with `finished`
    told.failures.store(std::bit_cast<std::uint64_t>(block), std::memory_order_relaxed);
    // (3) release-store, pairs with (1) of chunk_failures.hpp: the list holds as many.
    told.failed.store(record.nth, std::memory_order_release);
    return true;
  }

  TaskContext& context_;
  ChunkPrefix prefix_;
};

/// A chunk whose items are F called with values sent as `Sent...`.
template <class F, class State, class... Sent>
class ChunkCall {
  using Shape = CallShape<F, State, Sent...>;

 public:
  using Result = call_result_t<F, State, Sent...>;

  static void encode(Encoding& encoding, const F& function) { encode_callable(encoding, function); }

  static void run(TaskContext& context) {
    run_guarded(
        [&context] {
          ChunkRun chunk(context);
          F& function = cache().get(chunk.prefix(), decode_callable<F>);
          const Item item{chunk, chunk.places(), function, context.worker.state, ForkWatch()};
          chunk.run([item, &worker = context.worker](
                        std::size_t i) { return try_often(worker, [&] { return item.run(i); }); },
                    chunk_results_of<Result> == ChunkResults::blocks);
        },
        [&context](const std::exception_ptr& thrown) { write_exception(context, thrown); });
  }

  static constexpr ChunkKind kind{run, chunk_result_size<Result>(), chunk_results_of<Result> == ChunkResults::blocks,
                                  false};

  /// The result of one item, for those who do something else with it than run().
  static decltype(auto) call_item(const ChunkPlaces& places, std::size_t i, F& function, void* state) {
    return Shape::call(function, state, receive(places, i, std::index_sequence_for<Sent...>{}));
  }
  static CallableCache<F>& cache() {
    static CallableCache<F> callable;
    return callable;
  }

 private:
  /// What running an item takes.
  struct Item {
    ChunkRun& chunk;
    ChunkPlaces places;
    F& function;
    void* state;
    ForkWatch watch;

    /// False if there is no memory for its result.
    bool run(std::size_t i) const {
      bool is_stored = true;
      if constexpr (chunk_results_of<Result> == ChunkResults::none) {
        call_item(places, i, function, state);
        leave_if_forked();
      } else if constexpr (chunk_results_of<Result> == ChunkResults::dense) {
        const Result result(call_item(places, i, function, state));
        leave_if_forked();
        std::memcpy(places.results() + i * sizeof result, std::addressof(result), sizeof result);
      } else {
        is_stored = chunk.store_block(places, i, Result(call_item(places, i, function, state)));
        leave_if_forked();
      }
      return is_stored;
    }
    void leave_if_forked() const noexcept {
      if (watch.may_have_forked()) chunk.leave_if_forked();
    }
  };

  template <std::size_t... I>
  static typename Shape::Arrived receive(const ChunkPlaces& places, std::size_t i, std::index_sequence<I...>) {
    if constexpr (items_are_flat<Sent...>) {
      const std::byte* item = places.items().data() + i * ChunkBuilder<Sent...>::stride;
      return typename Shape::Arrived{FlatLayout<Sent...>::template read<I>(item)...};
    } else {
      Decoder decoder(places.items(), places.offset_of(i));
      return Shape::receive(decoder);
    }
  }
};

}  // namespace procpool::detail
