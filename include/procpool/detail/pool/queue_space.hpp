// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How a submitter waits for room in a queue: for a place, or until less of its tasks' arguments waits.
///
/// Shared by  the threads of the user's process and the workers, who move the head and ring.
/// Progress   blocking; nobody sleeps under the submit lock.
/// Crash      a worker that dies before it rings leaves a sleeper who looks again after longest_sleep; so does whatever
///            makes room and tells nobody, such as a cancel.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include <procpool/detail/pool/pool_layout.hpp>
#include <procpool/detail/pool/ring_walk.hpp>
#include <procpool/detail/result/queued_bytes.hpp>
#include <procpool/detail/task/exchange.hpp>
#include <procpool/detail/wait/deadline.hpp>

namespace procpool::detail {

/// That the head of a ring may come to a position. Made under the submit lock; whoever sleeps on it looks in between
/// whether there is room by now: the worker who made it may have come before the wish. The other half of the lemma in
/// Worker::signal_space.
class HeadWish {
 public:
  HeadWish(RingAndSpace& ring, std::uint64_t head) noexcept : ring_(ring), head_(head), key_(ring.space.key()) {
    // (2) seq_cst-load, pairs with (12) of worker.hpp: a wish that was granted before the key was taken is not found
    // here, and one that is granted later rings after it.
    const std::uint64_t other = ring.wanted.load(std::memory_order_seq_cst);
    if (other != 0 && static_cast<std::int64_t>(head - other) >= 0) return;
    // (1) seq_cst-store, pairs with (11) of worker.hpp, (12) of worker.hpp: the store of the lemma; its load is that of
    // the head in sleep().
    ring.wanted.store(head, std::memory_order_seq_cst);
  }

  /// Until a worker has moved the head that far, or to what another submitter wishes for before that.
  void sleep() const noexcept {
    if (static_cast<std::int64_t>(ring_.ring.head() - head_) < 0) ring_.space.wait(key_, longest_sleep);
  }

 private:
  RingAndSpace& ring_;
  std::uint64_t head_;
  EventCount::Key key_;
};

/// Under the lock: walks the head over dead cells; if the ring is full of waiting tasks, and `waits`, sleeps without
/// the lock until workers have taken an eighth of the capacity. False: it is full, and does not wait.
[[nodiscard, gnu::cold]] inline bool make_space(std::unique_lock<std::mutex>& lock, Exchange& exchange,
                                                RingAndSpace& ring, bool waits) {
  static_cast<void>(walk_to_live_head(ring.ring, exchange.slots));
  if (!ring.ring.was_full()) return true;
  if (!waits) return false;
  const HeadWish wish(ring, ring.ring.head_with_free(std::max<std::size_t>(1, ring.ring.capacity() / 8)));
  lock.unlock();
  wish.sleep();
  exchange.sweep(64);
  lock.lock();
  return true;
}

/// Under the lock: that workers may take an eighth of the tasks that wait.
[[nodiscard, gnu::cold]] inline HeadWish wish_for_fewer(const Exchange& exchange, RingAndSpace& ring) noexcept {
  static_cast<void>(walk_to_live_head(ring.ring, exchange.slots));
  return HeadWish(ring, ring.ring.head() + std::max<std::size_t>(1, ring.ring.was_size() / 8));
}

/// The bytes of arguments that wait in each queue. Notes of tasks may hold a queue's count longer than the pool lives.
class ByteQueues {
 public:
  /// `limit`: of each; 0: half of the memory for arguments, so that the tasks that run have the other half.
  ByteQueues(const Exchange& exchange, std::size_t limit)
      : slots_(exchange.slots), limit_(limit != 0 ? limit : exchange.arguments.region().size() / 2) {
    for (auto& queue : queues_) queue = std::make_shared<QueuedBytes>(limit_);
  }

  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

  [[nodiscard]] bool admit(RingName name, QueuedBytes::Entry& entry, std::size_t bytes, bool waits) const {
    return queues_[static_cast<std::size_t>(name)]->admit(entry, bytes, waits, [this](Handle handle) {
      const Phase phase = slots_[handle].load().phase();
      return phase == Phase::queued || phase == Phase::free;  // Free: it is just about to be queued.
    });
  }

 private:
  const SlotTable& slots_;
  std::size_t limit_;
  std::array<std::shared_ptr<QueuedBytes>, ring_count> queues_;
};

}  // namespace procpool::detail
