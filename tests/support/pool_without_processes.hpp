// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The memory of a pool in one process: threads, or the test itself step by step, take the place of workers.

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

#include <procpool/detail/pool/pool_layout.hpp>
#include <procpool/detail/pool/worker.hpp>
#include <procpool/detail/task/result_codec.hpp>
#include <procpool/detail/task/result_handle.hpp>

namespace support {

class PoolWithoutProcesses {
 public:
  explicit PoolWithoutProcesses(std::size_t workers, std::size_t queue_capacity = 1024,
                                std::size_t shared_memory = std::size_t{64} << 20)
      : exchange_(new procpool::detail::Exchange(
            {.total = shared_memory,
             .workers = workers,
             .most_workers = workers,
             .own = procpool::detail::PoolLayout::committed_bytes(workers),
             .rings = procpool::detail::PoolLayout::read_only_bytes(workers, queue_capacity)},
            {std::chrono::microseconds(20)})),
        layout_(*exchange_, workers, workers, queue_capacity) {}
  PoolWithoutProcesses(const PoolWithoutProcesses&) = delete;
  PoolWithoutProcesses& operator=(const PoolWithoutProcesses&) = delete;
  ~PoolWithoutProcesses() {
    exchange_->dispatcher.finish();
    exchange_->sweep(SIZE_MAX);
    exchange_->release();
  }

  [[nodiscard]] procpool::detail::Exchange& exchange() noexcept { return *exchange_; }
  [[nodiscard]] procpool::detail::PoolLayout& layout() noexcept { return layout_; }
  [[nodiscard]] procpool::detail::Row& row(std::size_t worker) noexcept { return layout_.row(worker); }
  [[nodiscard]] procpool::detail::Slot& slot(const procpool::detail::ResultHandle& task) noexcept {
    return exchange_->slots[task.handle()];
  }

  /// As PoolCore does it: queues a call of `run`, which finds `argument` in its record. Empty if the queue is full.
  template <class T>
  [[nodiscard]] std::optional<procpool::detail::ResultHandle> try_submit(
      procpool::detail::TaskFunction run, const T& argument,
      procpool::detail::RingName name = procpool::detail::RingName::normal,
      std::unique_ptr<procpool::detail::TaskNote> note = nullptr) {
    procpool::detail::Ring& ring = layout_.ring(name).ring;
    procpool::detail::Handle handle = 0;
    {
      const std::lock_guard lock(exchange_->submit_mutex);
      if (ring.was_full()) return std::nullopt;
      handle = fill_slot(run, argument, std::move(note));
      exchange_->slots[handle].store(procpool::detail::StateWord::queued(ring.next_position()));
      ring.publish(handle);
    }
    layout_.wake_one();
    return procpool::detail::ResultHandle(*exchange_, handle);
  }
  template <class T>
  [[nodiscard]] procpool::detail::ResultHandle submit(procpool::detail::TaskFunction run, const T& argument) {
    return *try_submit(run, argument);
  }

  /// Into the mailbox of one worker.
  template <class T>
  [[nodiscard]] procpool::detail::ResultHandle post(std::size_t worker, procpool::detail::TaskFunction run,
                                                    const T& argument) {
    const std::lock_guard lock(exchange_->submit_mutex);
    const procpool::detail::Handle handle = fill_slot(run, argument, nullptr);
    const std::uint64_t ticket = next_post_++ | procpool::detail::posted_bit;
    exchange_->slots[handle].store(procpool::detail::StateWord::queued(ticket).with_posted());
    row(worker).mailbox.store(procpool::detail::Cell(ticket, handle).bits);
    return procpool::detail::ResultHandle(*exchange_, handle);
  }

  /// The calling thread is a worker until the pool stops and no work is left.
  void serve(procpool::detail::WorkerIndex worker, procpool::detail::Life life) {
    procpool::detail::WorkerSelf self;
    self.index = worker;
    procpool::detail::Worker(*exchange_, layout_, worker, life).serve(self, nullptr);
  }

  /// Lets workers leave when they find no work.
  void stop() noexcept {
    layout_.words().is_stopping.store(1);
    layout_.wake_all();
  }

  /// Extents that nobody owns and that hold no block.
  [[nodiscard]] std::size_t free_extents() const {
    std::size_t free = 0;
    for (std::size_t i = 0; i < exchange_->outbox.count(); ++i) {
      const procpool::detail::Extent& extent = exchange_->outbox.extent(i);
      free += extent.owner.load() == 0 && extent.was_empty() ? 1 : 0;
    }
    return free;
  }

 private:
  template <class T>
  procpool::detail::Handle fill_slot(procpool::detail::TaskFunction run, const T& argument,
                                     std::unique_ptr<procpool::detail::TaskNote> note) {
    static_assert(sizeof(T) <= procpool::detail::TaskRecord::inline_capacity);
    const std::optional<procpool::detail::Handle> handle = exchange_->slots.allocate();
    if (!handle) throw std::runtime_error("no slot is free");
    exchange_->retain();
    procpool::detail::TaskRecord record;
    record.run = run;
    record.size = sizeof argument;
    std::memcpy(record.arguments, &argument, sizeof argument);
    exchange_->slots[*handle].task = record;
    if (note) exchange_->slots.set_note(*handle, std::move(note));
    return *handle;
  }

  procpool::detail::Exchange* exchange_;
  procpool::detail::PoolLayout layout_;
  std::uint64_t next_post_ = 0;
};

/// What a task finds as its argument.
template <class T>
[[nodiscard]] T argument_of(const procpool::detail::TaskContext& context) {
  T argument;
  std::memcpy(&argument, context.arguments().data(), sizeof argument);
  return argument;
}

}  // namespace support
