// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What futures need of a pool, in one process: a thread of the test, in place of a worker, ends tasks.

#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include <procpool/detail/task/local_task.hpp>
#include <procpool/future.hpp>

namespace support {

/// The memory and the dispatch thread of a pool without processes.
class Workbench {
 public:
  explicit Workbench(std::chrono::nanoseconds spin = std::chrono::microseconds(20))
      : exchange_(new procpool::detail::Exchange({.total = std::size_t{512} << 20}, spin)) {}
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;
  /// What no thread has ended fails with PoolClosed.
  ~Workbench() {
    exchange_->break_all(std::make_exception_ptr(procpool::PoolClosed("the test is over")));
    exchange_->dispatcher.finish();
    exchange_->sweep(SIZE_MAX);
    exchange_->release();
  }

  [[nodiscard]] procpool::detail::Exchange& exchange() noexcept { return *exchange_; }

 private:
  procpool::detail::Exchange* exchange_;
};

/// A task that a worker would run, or none if the test says so. `T` is void or travels in the slot.
template <class T>
class WorkerTask {
 public:
  explicit WorkerTask(Workbench& bench) : exchange_(bench.exchange()), hold_(exchange_) {
    {
      const std::lock_guard lock(exchange_.submit_mutex);
      handle_ = exchange_.slots.allocate().value();
    }
    exchange_.retain();
    exchange_.slots[handle_].store(procpool::detail::StateWord::queued(1));
  }

  /// Once.
  [[nodiscard]] procpool::Future<T> future() {
    return procpool::Future<T>(procpool::detail::ResultHandle(exchange_, handle_));
  }

  /// Queued → Running. False if it was cancelled.
  bool start() {
    using procpool::detail::Phase;
    return move(Phase::queued, Phase::claimed) && move(Phase::claimed, Phase::running);
  }

  /// As Worker::publish does it, after start().
  void finish() { publish({}); }
  template <class Value>
  void finish(const Value& value) {
    procpool::detail::ResultHeader result;
    static_assert(sizeof(T) <= sizeof(result.word));
    const T converted = static_cast<T>(value);
    std::memcpy(&result.word, &converted, sizeof converted);
    result.size = sizeof converted;
    result.kind = procpool::detail::ResultKind::inline_value;
    publish(result);
  }

  /// As the supervisor does it for a task whose worker died.
  template <class E>
  void lose(const E& why) {
    using procpool::detail::Phase;
    exchange_.record_loss(handle_, std::make_exception_ptr(why));
    procpool::detail::StateWord word = slot().load();
    while (!slot().transition(word, word.with_phase(Phase::lost))) {
    }
    exchange_.announce_end(handle_, word);
  }

  [[nodiscard]] bool is_condemned() { return slot().load().phase() == procpool::detail::Phase::condemned; }
  [[nodiscard]] bool was_asked_to_stop() { return slot().load().is_asked_to_stop(); }

 private:
  procpool::detail::Slot& slot() { return exchange_.slots[handle_]; }

  bool move(procpool::detail::Phase from, procpool::detail::Phase to) {
    procpool::detail::StateWord word = slot().load();
    while (word.phase() == from) {
      if (slot().transition(word, word.with_phase(to).with_owner(0))) return true;
    }
    return false;
  }

  void publish(const procpool::detail::ResultHeader& result) {
    static_cast<void>(slot().mutex.lock_reporting());
    slot().result = result;
    slot().mutex.unlock();
    procpool::detail::StateWord word = slot().load();
    while (!slot().transition(word, word.with_phase(procpool::detail::Phase::done))) {
    }
    if (word.is_watched()) {
      exchange_.completions(0).push(handle_);
      if (exchange_.signal().sleepers.load(std::memory_order_seq_cst) != 0) exchange_.signal().ended.ring_all();
    }
    if (word.is_waited_for()) slot().wake_sleepers();
  }

  procpool::detail::Exchange& exchange_;
  procpool::detail::Hold hold_;
  procpool::detail::Handle handle_ = 0;
};

/// A task of this process, whose value need not cross anything.
template <class T>
class LocalValue {
 public:
  explicit LocalValue(Workbench& bench) : task_(bench.exchange()) {}

  [[nodiscard]] procpool::Future<T> future() { return procpool::Future<T>(task_.take_future()); }
  void set(T value) { task_.succeed(std::make_shared<T>(std::move(value))); }
  template <class E>
  void fail(const E& why) {
    task_.fail(std::make_exception_ptr(why));
  }

 private:
  procpool::detail::LocalTask task_;
};

}  // namespace support
