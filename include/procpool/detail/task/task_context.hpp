// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a task finds when a worker runs it: its arguments, and the way for its result.

#include <unistd.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include <procpool/detail/result/outbox_writer.hpp>
#include <procpool/detail/result/slot.hpp>
#include <procpool/detail/task/terms.hpp>
#include <procpool/detail/task/worker_self.hpp>

namespace procpool::detail {

class TaskContext {
 public:
  TaskContext(const TaskRecord& record, WorkerSelf& self, OutboxWriter& writer) noexcept
      : worker(self), outbox(writer), record_(record), arguments_(find_arguments(record)) {}

  /// The encoded callable and arguments, read-only, aligned to 64 if in a block and to 8 if not.
  [[nodiscard]] std::span<const std::byte> arguments() const noexcept { return arguments_; }
  [[nodiscard]] const TaskRecord& record() const noexcept { return record_; }

  /// Ends a process that the task forked and that came back from it: it is not the worker, and must not write to what
  /// the worker shares.
  void leave_if_forked() const noexcept {
    if (!worker.home.is_here()) ::_exit(0);
  }

  /// A block for `bytes` bytes of the result, or of an item's; null if there is no room, which then is the result.
  [[nodiscard]] std::byte* allocate_result(std::size_t bytes, ResultKind kind,
                                           std::uint32_t item = OutboxWriter::no_item) {
    leave_if_forked();
    std::byte* block = outbox.allocate(bytes, item);
    result.kind = block != nullptr ? kind : ResultKind::outbox_exhausted;
    result.word = std::bit_cast<std::uint64_t>(block);
    result.size = bytes & ResultHeader::largest_size;
    return block;
  }

  /// A result of up to eight bytes.
  template <class T>
  void return_inline(const T& value) noexcept {
    static_assert(sizeof(T) <= sizeof(result.word));
    std::memcpy(&result.word, std::addressof(value), sizeof value);
    result.size = sizeof value;
    result.kind = ResultKind::inline_value;
  }

  WorkerSelf& worker;
  OutboxWriter& outbox;
  ResultHeader result;  // published when the task returns

 private:
  static std::span<const std::byte> find_arguments(const TaskRecord& record) noexcept {
    if (!record.has(TaskRecord::has_block)) return {record.arguments, static_cast<std::size_t>(record.size)};
    const std::byte* block = record.block();
    if (!record.has(TaskRecord::has_terms)) return {block, static_cast<std::size_t>(record.size)};
    const std::size_t terms = Terms::size_for(Terms::read(block).label);
    return {block + terms, static_cast<std::size_t>(record.size) - terms};
  }

  const TaskRecord& record_;
  std::span<const std::byte> arguments_;
};

}  // namespace procpool::detail
