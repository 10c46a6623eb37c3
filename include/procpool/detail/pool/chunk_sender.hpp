// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Sends the chunks of one map: the callable once, then chunk after chunk of items.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <procpool/detail/pool/item_reader.hpp>
#include <procpool/detail/pool/sender.hpp>
#include <procpool/detail/task/chunk_call.hpp>

namespace procpool::detail {

/// A chunk that was sent.
struct SentChunk {
  ResultHandle handle;
  std::size_t first = 0;  // position of its first item in the map
  std::size_t items = 0;
};

template <class... Sent>
using BuilderOf = ChunkBuilder<Sent...>;

/// `ThisCall` is a ChunkCall or a ChunkReduction of F.
template <class ThisCall, class Reader>
class ChunkSender {
 public:
  /// `function` is what ThisCall encodes; its callables were checked.
  template <class F>
  ChunkSender(const Sender& sender, const F& function, Reader&& reader)
      : sender_(sender), reader_(std::move(reader)) {
    sender_.core->require_home();
    const ScratchEncoding encoding;
    ThisCall::encode(*encoding, function);
    callable_ = std::make_shared<SharedBlock>(
        sender_.core->allocate(sender_.core->exchange().arguments, std::max<std::size_t>(encoding->size(), 1)));
    encoding->write_to(callable_->data());
    prefix_.callable = callable_->data();
    prefix_.callable_size = encoding->size();
    prefix_.callable_id = next_id();
  }

  [[nodiscard]] Reader& reader() noexcept { return reader_; }
  /// Items read so far.
  [[nodiscard]] std::size_t position() const noexcept { return position_; }

  /// Reads up to `most` items and sends them. Empty if the queue or the shared memory is full and `waits` is false; the
  /// items are then kept for the next call.
  [[nodiscard]] std::optional<SentChunk> send(std::size_t most, bool waits);

  /// True if every item was read and sent.
  [[nodiscard]] bool is_done() { return builder_.items() == 0 && reader_.at_end(); }

 private:
  static constexpr std::size_t largest_chunk = std::size_t{4} << 20;  // bytes; one item may be larger

  static std::uint64_t next_id() noexcept {
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;  // relaxed: only different numbers are wanted
  }
  void gather(std::size_t most);

  Sender sender_;
  Reader reader_;
  std::shared_ptr<SharedBlock> callable_;
  ChunkPrefix prefix_;
  typename Reader::template with_sent<BuilderOf> builder_;
  std::size_t position_ = 0;
};

template <class ThisCall, class Reader>
void ChunkSender<ThisCall, Reader>::gather(std::size_t most) {
  if constexpr (Reader::is_contiguous_flat) {
    const std::size_t fitting = std::max<std::size_t>(1, largest_chunk / decltype(builder_)::stride);
    builder_.refer_to(reader_.read_span(std::min({most, reader_.remaining(), fitting})));
  } else {
    while (builder_.items() < most && builder_.size() < largest_chunk && !reader_.at_end()) {
      reader_.read([this](auto&&... values) { builder_.add(std::forward<decltype(values)>(values)...); });
    }
  }
}

template <class ThisCall, class Reader>
std::optional<SentChunk> ChunkSender<ThisCall, Reader>::send(std::size_t most, bool waits) {
  if (builder_.items() == 0) gather(most);
  PoolCore& core = *sender_.core;
  OutgoingTask task;
  TaskNote& note = task.make_note();
  note.label = sender_.label();
  note.callable = callable_;
  note.has_position = true;
  note.first_position = position_;
  note.items = builder_.items();
  note.has_item_blocks = ThisCall::results == ChunkResults::blocks;

  const std::size_t terms = note.label.empty() ? 0 : Terms::size_for(note.label);
  try {
    note.arguments = core.allocate(core.exchange().arguments, terms + builder_.size());
    note.results = core.allocate(core.exchange().data, ThisCall::results_size(note.items));
  } catch (const SharedMemoryExhausted&) {
    if (waits) throw;
    return std::nullopt;  // The chunks under way hold it.
  }
  ::new (static_cast<void*>(note.results.data())) ChunkHeader;
  if (note.has_item_blocks) {
    std::memset(note.results.data() + sizeof(ChunkHeader), 0, note.results.size() - sizeof(ChunkHeader));
  }
  prefix_.results = note.results.data();
  builder_.write(note.arguments.data() + terms, prefix_);

  task.record.run = ThisCall::run;
  task.record.set_block(note.arguments.data());
  task.record.size = note.arguments.size() & TaskRecord::largest_size;
  task.record.flags |= TaskRecord::is_chunk;
  if (terms > 0) {
    task.record.flags |= TaskRecord::has_terms;
    Terms::write(note.arguments.data(), note.label);
  }
  std::optional<ResultHandle> handle = core.enqueue(sender_.ring(), task.record, std::move(task.note), waits);
  if (!handle) return std::nullopt;
  SentChunk chunk{std::move(*handle), position_, builder_.items()};
  position_ += chunk.items;
  builder_.clear();
  return chunk;
}

}  // namespace procpool::detail
