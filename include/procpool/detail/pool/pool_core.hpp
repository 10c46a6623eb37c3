// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A pool without its types: queues task records, and ends in order.
///
/// Shared by  all threads of the user's process. In any other process every call is a UsageError, and destruction does
///            nothing.
/// Crash      it dies with the user's process; the zygote and the workers see that end and leave.

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <procpool/detail/os/loaded_modules.hpp>
#include <procpool/detail/pool/exclusive_turn.hpp>
#include <procpool/detail/pool/queue_space.hpp>
#include <procpool/detail/pool/supervisor.hpp>
#include <procpool/detail/task/result_handle.hpp>
#include <procpool/detail/task/room_search.hpp>

namespace procpool::detail {

struct CoreOptions {
  std::size_t workers;
  std::size_t queue_capacity;
  std::size_t queue_bytes = 0;  // 0: a share of the memory for arguments
  std::size_t shared_memory;    // 0: chosen from the machine
  SpinTime spin;
};

class PoolCore {
  /// A row for each worker that there may be is made with the pool.
  static constexpr std::size_t most_workers(std::size_t at_first) noexcept {
    return std::min<std::size_t>(max_workers, std::max<std::size_t>(64, 4 * at_first));
  }

 public:
  PoolCore(const CoreOptions& options, WorkerProgram program);
  PoolCore(const PoolCore&) = delete;
  PoolCore& operator=(const PoolCore&) = delete;

  /// Finishes what was submitted, or, during stack unwinding, cancels what has not started; then ends every process.
  ~PoolCore();

  [[nodiscard]] Exchange& exchange() noexcept { return *exchange_; }
  [[nodiscard]] PoolLayout& layout() noexcept { return layout_; }
  [[nodiscard]] const LoadedModules& modules() const noexcept { return modules_; }
  [[nodiscard]] std::size_t workers() const noexcept { return layout_.wanted(); }

  /// Throws UsageError in a process that did not make the pool.
  void require_home() const {
    if (!exchange_->home.is_here()) refuse_process();
  }

  /// Throws PoolClosed or BrokenPool if it takes no more tasks.
  void require_taking() const {
    const std::lock_guard lock(exchange_->submit_mutex);
    require_open();
  }

  /// A block for arguments. While there is no room, but tasks that nobody waits for hold enough of it: waits for their
  /// end if `waits`, else returns an empty block. Throws SharedMemoryExhausted if they do not; PoolClosed, BrokenPool.
  [[nodiscard]] SharedBlock allocate(BlockAllocator& allocator, std::size_t bytes, bool waits);

  /// The same for the arguments of the task of that note, which is to be queued next. While too many bytes wait in its
  /// queue: waits until workers have taken some if `waits`, else returns an empty block.
  [[nodiscard]] SharedBlock allocate_arguments(RingName name, TaskNote& note, std::size_t bytes, bool waits);

  [[nodiscard]] std::size_t queue_bytes() const noexcept { return queued_bytes_.limit(); }

  /// Queues a task. While the ring is full, or tasks that nobody waits for hold the slots: waits if `waits`, else
  /// returns empty. Throws PoolClosed, BrokenPool, and SharedMemoryExhausted if somebody keeps all slots.
  [[nodiscard]] std::optional<ResultHandle> enqueue(RingName name, const TaskRecord& record,
                                                    std::unique_ptr<TaskNote> note, bool waits);

  /// Sends a task to one worker alone. One caller at a time.
  [[nodiscard]] ResultHandle post(std::size_t worker, const TaskRecord& record, std::unique_ptr<TaskNote> note);

  /// From now on there are `workers`: those missing are made, those above leave when they have nothing in hand.
  void resize(std::size_t workers);

  void close();
  void cancel_pending();
  bool join(const Deadline& deadline);
  void terminate();
  bool wait_idle(const Deadline& deadline);

  [[nodiscard]] bool is_closed() const {
    const std::lock_guard lock(exchange_->submit_mutex);
    return refusal_ != nullptr;
  }
  [[nodiscard]] std::uint64_t submitted() const {
    const std::lock_guard lock(exchange_->submit_mutex);
    return submitted_;
  }
  [[nodiscard]] Supervisor& supervisor() noexcept { return supervisor_; }
  /// Held by a call that sends a task to each worker, or changes their number.
  [[nodiscard]] ExclusiveTurn broadcast_turn() { return ExclusiveTurn(broadcast_); }

 private:
  [[noreturn, gnu::cold]] void refuse_process() const;
  void require_open() const {
    if (refusal_) std::rethrow_exception(refusal_);
  }
  [[nodiscard, gnu::cold]] bool make_slot(std::unique_lock<std::mutex>& lock, RoomSearch& search);
  void fill_slot(Handle handle, std::uint64_t ticket, const TaskRecord& record, std::unique_ptr<TaskNote> note) {
    exchange_->retain();
    exchange_->slots[handle].task = record;
    if (note) set_note(handle, ticket, std::move(note));
  }
  void set_note(Handle handle, std::uint64_t ticket, std::unique_ptr<TaskNote> note);
  void stop() noexcept;

  std::unique_ptr<Exchange, Release> exchange_;
  PoolLayout layout_;
  ByteQueues queued_bytes_;
  LoadedModules modules_;
  WorkerProgram program_;
  RegisteredDescriptor registered_memory_;
  ZygoteLink zygote_;
  // Made while there is memory for them: the pool ends without any.
  const std::exception_ptr closed_ = std::make_exception_ptr(PoolClosed("the pool was closed; it takes no more tasks"));
  const std::exception_ptr ended_ = std::make_exception_ptr(PoolClosed("the pool has ended, and the task had not"));
  std::exception_ptr refusal_;   // why submit throws; null while open; under the submit lock
  std::uint64_t submitted_ = 0;  // under the submit lock
  std::uint64_t next_post_ = 0;  // ticket of the next mailbox task, but for posted_bit
  Exclusive broadcast_;
  std::mutex stop_mutex_;
  bool is_joined_ = false;  // under the stop mutex
  int exceptions_ = std::uncaught_exceptions();
  Supervisor supervisor_;
};

inline PoolCore::PoolCore(const CoreOptions& options, WorkerProgram program)
    : exchange_(
          new Exchange({.total = options.shared_memory,
                        .workers = options.workers,
                        .most_workers = most_workers(options.workers),
                        .own = PoolLayout::committed_bytes(most_workers(options.workers)),
                        .rings = PoolLayout::read_only_bytes(most_workers(options.workers), options.queue_capacity)},
                       options.spin)),
      layout_(*exchange_, options.workers, most_workers(options.workers), options.queue_capacity),
      queued_bytes_(*exchange_, options.queue_bytes), program_(std::move(program)),
      registered_memory_(exchange_->mapping.descriptor()), zygote_(*exchange_, layout_, program_),
      supervisor_(*exchange_, layout_, zygote_, program_.min_workers, [this](const std::exception_ptr& reason) {
        const std::lock_guard lock(exchange_->submit_mutex);
        if (!refusal_) refusal_ = reason;
      }) {
  exchange_->mapping.exclude_from_forks();
}

inline void PoolCore::refuse_process() const {
  if (current_worker() != nullptr) {
    throw UsageError(
        "a pool was used inside one of its own workers; a task cannot submit tasks: return what is to be done next, "
        "and submit it where the pool was made");
  }
  throw UsageError("a pool made in process " + std::to_string(exchange_->home.pid()) + " was used in process " +
                   std::to_string(::getpid()) + ", which was forked from it; make a pool of its own there");
}

inline SharedBlock PoolCore::allocate(BlockAllocator& allocator, std::size_t bytes, bool waits) {
  for (RoomSearch search(*exchange_, waits);;) {
    SharedBlock block(allocator, bytes);
    if (block) return block;
    const Room room = search.next([&] { return exchange_->abandoned().will_make_room(allocator, bytes); });
    if (room == Room::not_yet) return block;
    if (room == Room::none) throw_no_memory(bytes, allocator.region().size());
    const std::lock_guard lock(exchange_->submit_mutex);
    require_open();
  }
}

inline SharedBlock PoolCore::allocate_arguments(RingName name, TaskNote& note, std::size_t bytes, bool waits) {
  while (!queued_bytes_.admit(name, note.queued, bytes, waits)) {
    std::unique_lock lock(exchange_->submit_mutex);
    require_open();
    if (!waits) return {};
    const HeadWish wish = wish_for_fewer(*exchange_, layout_.ring(name));
    lock.unlock();
    if (queued_bytes_.admit(name, note.queued, bytes, waits)) break;
    wish.sleep();
  }
  return allocate(exchange_->arguments, bytes, waits);
}

inline std::optional<ResultHandle> PoolCore::enqueue(RingName name, const TaskRecord& record,
                                                     std::unique_ptr<TaskNote> note, bool waits) {
  require_home();
  RingAndSpace& ring = layout_.ring(name);
  RoomSearch search(*exchange_, waits);
  std::unique_lock lock(exchange_->submit_mutex);
  std::optional<Handle> slot;
  for (;;) {  // Whatever lets go of the lock is followed by another look at everything.
    require_open();
    if (ring.ring.was_full()) {
      if (!make_space(lock, *exchange_, ring, waits)) return std::nullopt;
      continue;
    }
    slot = exchange_->slots.allocate();
    if (slot) break;
    if (!make_slot(lock, search)) return std::nullopt;
  }
  const Handle handle = *slot;
  const std::uint64_t ticket = ring.ring.next_position();
  fill_slot(handle, ticket, record, std::move(note));
  exchange_->slots[handle].store(StateWord::queued(ticket));
  ring.ring.publish(handle);
  ++submitted_;
  lock.unlock();
  const bool woke_worker = layout_.wake_one();
  supervisor_.notice_work();
  if (exchange_->abandoned().count() != 0) exchange_->sweep(2);
  return ResultHandle(*exchange_, handle, woke_worker);
}

/// Lets go of the lock, so that a slot may come back. False: not yet. Throws if none will.
inline bool PoolCore::make_slot(std::unique_lock<std::mutex>& lock, RoomSearch& search) {
  lock.unlock();
  const Room room = search.next([this] { return exchange_->abandoned().will_give_slot(); });
  if (room == Room::none) throw_no_slot(exchange_->slots.was_used());
  lock.lock();
  return room == Room::look_again;
}

/// If there is no memory for what the supervisor is to know, the slot is given back.
inline void PoolCore::set_note(Handle handle, std::uint64_t ticket, std::unique_ptr<TaskNote> note) {
  const SupervisedTerms* terms = note->tries ? &note->tries->terms() : nullptr;
  note->queued.set_slot(handle);
  exchange_->slots.set_note(handle, std::move(note));
  if (terms == nullptr) return;
  try {
    supervisor_.supervise(handle, ticket, *terms);
  } catch (...) {
    exchange_->free_slot(handle, ResultHeader{});
    throw;
  }
}

inline ResultHandle PoolCore::post(std::size_t worker, const TaskRecord& record, std::unique_ptr<TaskNote> note) {
  require_home();
  std::unique_lock lock(exchange_->submit_mutex);
  RoomSearch search(*exchange_, true);
  std::optional<Handle> slot;
  for (require_open(); !(slot = exchange_->slots.allocate()); require_open()) {
    static_cast<void>(make_slot(lock, search));
  }
  const Handle handle = *slot;
  const std::uint64_t ticket = next_post_++ | posted_bit;
  fill_slot(handle, ticket, record, std::move(note));
  exchange_->slots[handle].store(StateWord::queued(ticket).with_posted());
  // (6) release-store, pairs with (5) of worker.hpp: the slot is filled.
  layout_.row(worker).mailbox.store(Cell(ticket, handle).bits, std::memory_order_release);
  ++submitted_;
  lock.unlock();
  layout_.row(worker).wake.ring_all();
  supervisor_.notice_work();
  return ResultHandle(*exchange_, handle);
}

inline void PoolCore::resize(std::size_t workers) {
  require_home();
  if (workers > layout_.most_workers()) {
    throw UsageError(
        message({"resize() to ", workers, " workers; a pool of the size that this one was made with has room for ",
                 layout_.most_workers()}));
  }
  const ExclusiveTurn no_task_for_one_worker_alone = broadcast_turn();
  {
    const std::lock_guard lock(exchange_->submit_mutex);
    require_open();
  }
  exchange_->hub.use_rings(std::max(workers, layout_.workers()));
  layout_.want(workers);
  layout_.wake_all();
  supervisor_.ring();
}

inline void PoolCore::close() {
  require_home();
  const std::lock_guard lock(exchange_->submit_mutex);
  if (!refusal_) refusal_ = closed_;
}

inline void PoolCore::cancel_pending() {
  require_home();
  exchange_->cancel_pending();
}

inline bool PoolCore::wait_idle(const Deadline& deadline) {
  require_home();
  // A worker that runs out of work rings whoever is counted as sleeping: see Worker::start_looking.
  const bool idle = exchange_->hub.wait(exchange_->spin.of_caller(), deadline,
                                        [this] { return exchange_->reason_of_break() || supervisor_.was_idle(); });
  exchange_->sweep(SIZE_MAX);
  return idle;
}

inline bool PoolCore::join(const Deadline& deadline) {
  require_home();
  if (!is_closed()) throw UsageError("join() before close(): the pool still takes tasks, so it would never end");
  if (!wait_idle(deadline)) return false;
  stop();
  return true;
}

inline void PoolCore::terminate() {
  require_home();
  const auto reason = std::make_exception_ptr(PoolClosed("the pool was terminated before the task ended"));
  {
    const std::lock_guard lock(exchange_->submit_mutex);
    refusal_ = reason;
  }
  supervisor_.expect_end();
  supervisor_.break_all(reason);  // before the workers are killed: no task shall fail with a death that was our doing
  // (2) release-store, pairs with (9) of zygote.hpp: the tasks have failed before the deaths that it brings.
  layout_.words().is_killed.store(1, std::memory_order_release);
  zygote_.ring();
  stop();
}

/// Lets the workers leave in order, once they have no work; idempotent.
inline void PoolCore::stop() noexcept {
  const std::lock_guard one_after_the_other(stop_mutex_);
  if (std::exchange(is_joined_, true)) return;
  supervisor_.expect_end();
  // (3) seq_cst-store, pairs with (10) of worker.hpp, (14) of worker.hpp, (10) of zygote.hpp, (10) of supervisor.hpp:
  // all that was ever published has ended, and the ring that follows wakes whoever has missed the word.
  layout_.words().is_stopping.store(1, std::memory_order_seq_cst);
  layout_.wake_all();
  zygote_.ring();
  supervisor_.join();
  supervisor_.break_all(ended_);  // Nothing is left, unless a wild write has hidden it.
}

inline PoolCore::~PoolCore() {
  close();
  if (std::uncaught_exceptions() > exceptions_) cancel_pending();
  if (!exchange_->reason_of_break()) wait_idle(std::nullopt);
  exchange_->dispatcher.finish();
  stop();
  exchange_->sweep(SIZE_MAX);
}

}  // namespace procpool::detail
