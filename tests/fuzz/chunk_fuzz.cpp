// SPDX-License-Identifier: BSL-1.0

/// @file
/// Collects a chunk of a map as a hostile worker may have left it: the counts, the addresses of the results and of the
/// failures, and what lies there; with items that earlier workers died on.
///
/// An input: where the results go; how many items; a byte of Way; then what the way says. The rest is the outbox.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <procpool/detail/pool/chunk_collector.hpp>
#include <procpool/detail/pool/map_sinks.hpp>
#include <procpool/detail/pool/reduction.hpp>
#include <procpool/error/worker_died.hpp>

#include "support/arena.hpp"
#include "support/input.hpp"
#include "support/values.hpp"

using namespace procpool::detail;

namespace {

/// Bits of an input's third byte.
namespace way {
constexpr unsigned hostile_count = 1;    // of finished items
constexpr unsigned losses = 2;           // earlier workers died on some items
constexpr unsigned hostile_result = 4;   // the slot has a result of its own
constexpr unsigned hostile_word = 8;     // flags, owner, ticket and phase of the slot
constexpr unsigned ruined_extents = 16;  // the bookkeeping of the outbox
constexpr unsigned failures = 32;        // the worker left a list of failed items
constexpr unsigned hostile_blocks = 64;  // addresses of results are the input's
constexpr unsigned is_never_read = 128;  // nobody takes the results
}  // namespace way

constexpr std::size_t outbox_bytes = 4096;

/// What one execution has in hand.
struct Scene {
  fuzz::Arena& arena;
  fuzz::Input& input;
  unsigned bits = 0;
  std::size_t items = 0;
  ChunkHeader* header = nullptr;
  std::byte* results = nullptr;

  [[nodiscard]] bool has(unsigned bit) const noexcept { return (bits & bit) != 0; }
  [[nodiscard]] std::byte* outbox() const noexcept { return arena.exchange().outbox.address(0); }
};

/// Where the results of the items lie. Honest ones are blocks in a row, each of an encoded text.
void write_blocks(Scene& scene) {
  auto* blocks = reinterpret_cast<ItemBlock*>(scene.results);
  for (std::size_t i = 0; i < scene.items; ++i) {
    if (scene.has(way::hostile_blocks) && scene.input.below(4) == 0) {
      blocks[i] = {scene.arena.hostile_address(scene.input), scene.input.take<std::uint16_t>()};
      if (scene.input.below(8) == 0) blocks[i].size = scene.input.take<std::uint64_t>();
    } else {
      blocks[i] = {reinterpret_cast<std::uint64_t>(scene.outbox() + i % 8 * 256), 24};
    }
  }
}

/// A list of failed items, each record linked to another, or to anywhere.
void write_failures(Scene& scene) {
  const std::size_t count = scene.input.below(6);
  std::byte* const records = scene.outbox() + outbox_bytes / 2;
  const auto address_of = [&](std::size_t i) { return reinterpret_cast<std::uint64_t>(records + i * 256); };
  scene.header->failures = count > 0 ? address_of(0) : scene.arena.hostile_address(scene.input);
  for (std::size_t i = 0; i < count; ++i) {
    FailureRecord record{scene.input.take(), 0, scene.input.take<std::uint16_t>(), count - i};
    const std::size_t next = scene.input.below(8);
    record.next = next < 7 ? address_of(next % count) : scene.arena.hostile_address(scene.input);
    std::memcpy(records + i * 256, &record, sizeof record);
    if (scene.input.below(8) == 0) scene.input.write_over(records + i * 256, sizeof record);
  }
  scene.header->failed = scene.input.below(8);
}

void write_losses(Scene& scene, TaskNote& note) {
  for (std::size_t left = 1 + scene.input.below(4); left > 0; --left) {
    procpool::WorkerDied death({.pid = 5, .signal = 9});
    note.item_losses.push_back({scene.input.below(scene.items), std::make_exception_ptr(std::move(death))});
  }
}

StateWord last_word(Scene& scene) {
  if (!scene.has(way::hostile_word)) return StateWord(0).with_owner(1).with_ticket(77).with_phase(Phase::done);
  constexpr Phase finals[] = {Phase::done, Phase::cancelled, Phase::lost, Phase::done};
  const Phase phase = finals[scene.input.below(4)];
  return StateWord(scene.input.take<std::uint64_t>()).with_phase(phase);
}

/// Honest bytes of a text at the beginning of each block, then those of the input.
void fill_outbox(Scene& scene) {
  static const std::vector<std::byte> text = [] {
    Encoding encoding;
    encoding.add(std::string("a result of 15!"));
    fuzz::AlignedBytes block(encoding.size());
    encoding.write_to(block.bytes().data());
    return std::vector<std::byte>(block.bytes().begin(), block.bytes().end());
  }();
  fuzz::require(text.size() == 24, "the sizes of the blocks are those of the text");
  for (std::size_t i = 0; i < 8; ++i) std::memcpy(scene.outbox() + i * 256, text.data(), text.size());
}

/// Sends a chunk whose function returns R, lets it end as the input says, and collects it into `sink`.
template <class R, bool HasOwnResult = false, class Sink>
void collect(fuzz::Arena& arena, fuzz::Input& input, std::size_t items, unsigned bits, Sink& sink) {
  Exchange& exchange = arena.exchange();
  const std::size_t bytes = sizeof(ChunkHeader) + items * (HasOwnResult ? 0 : chunk_result_size<R>());
  auto note = std::make_unique<TaskNote>();
  note->label = "label";
  note->items = items;
  note->has_position = true;
  note->has_item_blocks = !HasOwnResult && chunk_results_of<R> == ChunkResults::blocks;
  note->has_own_result = HasOwnResult;
  note->results = SharedBlock(exchange.data, bytes);
  std::byte* const block = note->results.data();
  const fuzz::Readable of_the_chunk(std::span(block, bytes));
  std::memset(block, 0, bytes);

  Scene scene{arena, input, bits, items, ::new (static_cast<void*>(block)) ChunkHeader, block + sizeof(ChunkHeader)};
  scene.header->finished = scene.has(way::hostile_count) ? input.take<std::uint64_t>() : items;
  std::memset(scene.outbox(), 0, outbox_bytes);
  fill_outbox(scene);
  if (note->has_item_blocks) write_blocks(scene);
  else input.write_over(scene.results, bytes - sizeof(ChunkHeader));
  if (scene.has(way::failures)) write_failures(scene);
  if (scene.has(way::losses)) write_losses(scene, *note);

  const Handle handle = arena.allocate();
  Slot& slot = exchange.slots[handle];
  if (scene.has(way::hostile_result)) {
    slot.result.kind = static_cast<ResultKind>(input.take());
    slot.result.word = arena.hostile_address(input);
    slot.result.size = input.take<std::uint64_t>() & ResultHeader::largest_size;
  } else if (HasOwnResult) {
    slot.result = {reinterpret_cast<std::uint64_t>(scene.outbox()), 24, ResultKind::value};
  }
  const StateWord word = last_word(scene);
  if (scene.has(way::ruined_extents)) arena.ruin_extents(input);
  input.write_over(scene.outbox() + input.take<std::uint16_t>() % outbox_bytes, 64);
  exchange.slots.set_note(handle, std::move(note));
  slot.store(word);

  SentChunk chunk{ResultHandle(exchange, handle), 0, items};
  fuzz::require(chunk.handle.is_ready(), "a chunk that has ended is not ready");
  if (!scene.has(way::is_never_read)) {
    sink.expect(items);
    static_cast<void>(collect_chunk(std::move(chunk), sink));
  } else {
    chunk.handle = ResultHandle();
  }
  fuzz::require(!exchange.slots.was_in_use(handle), "the slot of a chunk was not given back");
}

/// What a map throws: of the library's own, or what the records of failed items say.
template <class Finish>
void finish(Finish finish_sink) {
  try {
    finish_sink();
  } catch (const std::exception& failure) {
    fuzz::require(std::string(failure.what()).size() < std::size_t{1} << 40, "a text is longer than the shared memory");
  }
}

template <class R>
void run_values(fuzz::Arena& arena, fuzz::Input& input, std::size_t items, unsigned bits) {
  SinkOfValues<R> sink;
  collect<R>(arena, input, items, bits, sink);
  if ((bits & way::is_never_read) != 0) return;
  finish([&] {
    if constexpr (std::is_void_v<R>) {
      sink.finish();
    } else {
      const std::vector<R> values = sink.finish();
      fuzz::require(values.size() == items, "a map has another number of values than of items");
      for (const auto& value : values) fuzz::use(static_cast<const R&>(value));
    }
  });
}

template <class R>
void run_outcomes(fuzz::Arena& arena, fuzz::Input& input, std::size_t items, unsigned bits) {
  OutcomesOf<R> sink;
  collect<R>(arena, input, items, bits, sink);
  if ((bits & way::is_never_read) != 0) return;
  const std::vector<procpool::Outcome<R>> outcomes = sink.finish();
  fuzz::require(outcomes.size() == items, "a map has another number of outcomes than of items");
  for (std::size_t i = 0; i < items; ++i) {
    fuzz::require(outcomes[i].position() == i, "an outcome is not where its item was");
    fuzz::require(outcomes[i].has_value() == (outcomes[i].exception() == nullptr), "an outcome is neither or both");
    if constexpr (!std::is_void_v<R>) {
      if (outcomes[i].has_value()) fuzz::use(outcomes[i].value());
    }
    if (!outcomes[i].has_value()) finish([&] { std::rethrow_exception(outcomes[i].exception()); });
  }
}

void run_reduction(fuzz::Arena& arena, fuzz::Input& input, std::size_t items, unsigned bits) {
  const auto append = [](std::string a, const std::string& b) { return std::move(a) + b; };
  ReductionSink<std::string, decltype(append)> sink(std::string(), append);
  collect<std::string, true>(arena, input, items, bits, sink);
  if ((bits & way::is_never_read) == 0) finish([&] { fuzz::use(sink.finish()); });
}

void use_sink(std::size_t place, fuzz::Arena& arena, fuzz::Input& input, std::size_t items, unsigned bits) {
  switch (place) {
    case 0: return run_values<int>(arena, input, items, bits);
    case 1: return run_values<fuzz::Sighting>(arena, input, items, bits);
    case 2: return run_values<std::string>(arena, input, items, bits);
    case 3: return run_values<bool>(arena, input, items, bits);
    case 4: return run_values<void>(arena, input, items, bits);
    case 5: return run_outcomes<int>(arena, input, items, bits);
    case 6: return run_outcomes<fuzz::Sighting>(arena, input, items, bits);
    case 7: return run_outcomes<std::string>(arena, input, items, bits);
    case 8: return run_outcomes<bool>(arena, input, items, bits);
    case 9: return run_outcomes<void>(arena, input, items, bits);
    case 10: return run_outcomes<fuzz::Nested>(arena, input, items, bits);
    default: return run_reduction(arena, input, items, bits);
  }
}
constexpr std::size_t sinks = 12;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::Arena arena;
  static const fuzz::Readable outbox(std::span(arena.exchange().outbox.address(0), arena.exchange().outbox.capacity()));
  fuzz::Input input(data, size);
  arena.reset();
  const std::size_t place = input.below(sinks);
  const std::size_t items = 1 + input.below(4);
  const unsigned bits = input.take();
  use_sink(place, arena, input, items, bits);
  return 0;
}
