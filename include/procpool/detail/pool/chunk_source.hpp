// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Sends the chunks of one map: the callable once, then chunk after chunk of items.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <procpool/detail/pool/sender.hpp>
#include <procpool/detail/task/chunk_call.hpp>

namespace procpool::detail {

/// A chunk that was sent.
struct SentChunk {
  ResultHandle handle;
  std::size_t first = 0;  // position of its first item in the map
  std::size_t items = 0;
  std::size_t bytes = 0;  // of its block
};

/// All of a map's sending but for the types of its items: ChunkSender reads those.
class ChunkSource {
 public:
  ChunkSource(const ChunkSource&) = delete;
  ChunkSource& operator=(const ChunkSource&) = delete;
  virtual ~ChunkSource() = default;

  /// Items not yet read, or Chunker::unknown.
  [[nodiscard]] virtual std::size_t remaining() const = 0;

  /// True if workers write results of the chunks to the memory for results, not into blocks that were sent with them.
  [[nodiscard]] bool needs_room_for_results() const noexcept { return kind_.has_item_blocks || kind_.has_own_result; }

  /// Items sent so far.
  [[nodiscard]] std::size_t position() const noexcept { return position_; }

  /// Reads up to `most` items and sends them. Empty if the queue or the shared memory is full and `waits` is false, or
  /// if they take more than `bytes` bytes; the items are then kept for the next call. What reading throws is thrown
  /// once the items before it were sent.
  [[nodiscard]] std::optional<SentChunk> send(std::size_t most, bool waits, std::size_t bytes = SIZE_MAX);

  /// True if every item was read and sent. Throws what the range throws.
  [[nodiscard]] bool is_done() { return gathered() == 0 && !failure_ && at_end(); }

 protected:
  /// `callable` is encoded already.
  ChunkSource(const Sender& sender, const ChunkKind& kind, const Encoding& callable);

 private:
  [[nodiscard]] virtual bool at_end() = 0;
  virtual void gather(std::size_t most) = 0;
  // Of the items gathered and not yet sent: how many, their bytes as an argument block, what they name, and that block.
  [[nodiscard]] virtual std::size_t gathered() const noexcept = 0;
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
  [[nodiscard]] virtual const KeptBlocks& kept() const noexcept = 0;
  virtual void write(std::byte* block, const ChunkPrefix& prefix) const noexcept = 0;
  virtual void clear() noexcept = 0;

  void gather_or_throw(std::size_t most);
  [[nodiscard]] std::optional<ResultHandle> send_gathered(bool waits);
  [[nodiscard]] std::shared_ptr<const KeptBlocks> all_kept() const;
  [[nodiscard]] bool provide_blocks(TaskNote& note, std::size_t terms, bool waits) const;

  Sender sender_;
  ChunkKind kind_;
  std::shared_ptr<SharedBlock> callable_;
  std::shared_ptr<const KeptBlocks> kept_by_callable_;  // null: nothing
  ChunkPrefix prefix_;
  std::size_t position_ = 0;
  std::exception_ptr failure_;  // of reading the item behind those that were gathered
};

inline ChunkSource::ChunkSource(const Sender& sender, const ChunkKind& kind, const Encoding& callable)
    : sender_(sender), kind_(kind) {
  static constinit std::atomic<std::uint64_t> last_id{0};
  callable_ = std::make_shared<SharedBlock>(
      sender.core->allocate(sender.core->exchange().arguments, std::max<std::size_t>(callable.size(), 1), true));
  callable.write_to(callable_->data());
  if (!callable.kept().is_empty()) kept_by_callable_ = std::make_shared<const KeptBlocks>(callable.kept());
  prefix_.callable = callable_->data();
  prefix_.callable_size = callable.size();
  prefix_.callable_id = last_id.fetch_add(1, std::memory_order_relaxed) + 1;  // relaxed: only different ones are wanted
}

inline void ChunkSource::gather_or_throw(std::size_t most) {
  if (failure_) std::rethrow_exception(failure_);
  try {
    gather(most);
  } catch (...) {
    if (gathered() == 0) throw;
    failure_ = std::current_exception();
  }
}

inline std::optional<SentChunk> ChunkSource::send(std::size_t most, bool waits, std::size_t bytes) {
  if (gathered() == 0) gather_or_throw(most);
  if (size() > bytes) return std::nullopt;
  std::optional<ResultHandle> handle;
  try {
    handle = send_gathered(waits);
  } catch (const SharedMemoryExhausted&) {
    if (waits) throw;  // Else the chunks under way hold it.
  }
  if (!handle) return std::nullopt;
  SentChunk chunk{std::move(*handle), position_, gathered(), size()};
  position_ += chunk.items;
  clear();
  return chunk;
}

inline std::optional<ResultHandle> ChunkSource::send_gathered(bool waits) {
  OutgoingTask task;
  TaskNote& note = task.make_note();
  note.label = sender_.label();
  note.callable = callable_;
  note.kept = all_kept();
  sender_.require_own(note);
  note.has_position = true;
  note.first_position = position_;
  note.items = gathered();
  note.has_item_blocks = kind_.has_item_blocks;
  note.has_own_result = kind_.has_own_result;
  const GivenTerms given = sender_.given_terms();
  given.supervise([&note]() -> TaskNote& { return note; });
  const std::size_t terms = given.are_default_there() ? 0 : Terms::size_for(given.label);
  if (!provide_blocks(note, terms, waits)) return std::nullopt;

  prefix_.results = note.results.data();
  write(note.arguments.data() + terms, prefix_);
  task.record.run = kind_.run;
  task.record.set_block(note.arguments.data());
  task.record.size = note.arguments.size() & TaskRecord::largest_size;
  task.record.flags |= TaskRecord::is_chunk;
  if (terms > 0) {
    task.record.flags |= TaskRecord::has_terms;
    Terms::write(note.arguments.data(), given);
  }
  return sender_.core->enqueue(sender_.ring(), task.record, std::move(task.note), waits);
}

inline std::shared_ptr<const KeptBlocks> ChunkSource::all_kept() const {
  if (kept().is_empty()) return kept_by_callable_;
  const auto all = std::make_shared<KeptBlocks>(kept());
  if (kept_by_callable_) all->add(*kept_by_callable_);
  return all;
}

/// False if there is no room now and `waits` is false.
inline bool ChunkSource::provide_blocks(TaskNote& note, std::size_t terms, bool waits) const {
  PoolCore& core = *sender_.core;
  const std::size_t results = sizeof(ChunkHeader) + note.items * kind_.result_size;
  note.arguments = core.allocate_arguments(sender_.ring(), note, terms + size(), waits);
  if (!note.arguments) return false;
  note.results = core.allocate(core.exchange().data, results, waits);
  if (!note.results) return false;
  ::new (static_cast<void*>(note.results.data())) ChunkHeader;
  if (kind_.has_item_blocks) std::memset(note.results.data() + sizeof(ChunkHeader), 0, results - sizeof(ChunkHeader));
  return true;
}

}  // namespace procpool::detail
