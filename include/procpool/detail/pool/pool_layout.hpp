// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The shared memory of a pool beside slots and results: rings, rows, and the words that steer its processes.
///
/// Shared by  laid out before the first fork; each process has its own copy of PoolLayout, naming the same memory.
/// Crash      nothing here is owned by anybody.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>

#include <procpool/detail/pool/row.hpp>
#include <procpool/detail/ring/ring.hpp>
#include <procpool/detail/task/exchange.hpp>
#include <procpool/detail/task/presence.hpp>

namespace procpool::detail {

/// The rings, in the order in which workers look at them.
enum class RingName : std::uint8_t { requeued, high, normal, low };
inline constexpr std::size_t ring_count = 4;

/// A ticket says of a slot which of its tasks is meant, whatever way each was queued: what was noted of one (since when
/// it runs, until when it may wait) is never taken for another's. The ticket of a task in a mailbox has this bit;
inline constexpr std::uint64_t posted_bit = std::uint64_t{1} << (ticket_bits - 1);
/// and each ring has as many positions of its own.
inline constexpr std::uint64_t tickets_of_ring = posted_bit / ring_count;

/// Steers the processes of a pool. Each word is set once.
struct alignas(64) PoolWords {
  std::atomic<std::uint32_t> is_stopping{0};  // by the user's process: workers leave when they find no work
  std::atomic<std::uint32_t> is_killed{0};    // by the user's process: the zygote kills the workers and leaves
};

/// How many workers there are. Written by the user's process; it lies where workers cannot write.
struct alignas(64) CrewWords {
  std::atomic<std::uint32_t> rows{0};    // in use, now or before; only grows
  std::atomic<std::uint32_t> wanted{0};  // workers with an index below it; those above leave
};

/// What is shared of a ring, beside its cells.
struct RingWords {
  alignas(64) Ring::Word head{0};                    // see Ring
  alignas(64) std::atomic<std::uint64_t> wanted{0};  // a head that a submitter waits for, written by submitters; or 0
  EventCount space;                                  // rung by the worker who moved the head that far
};

/// One ring and those who wait for space in it. The object is private; no pointer of it can be ruined by a worker.
struct RingAndSpace {
  Ring ring;
  std::atomic<std::uint64_t>& wanted;
  EventCount& space;

  /// `place`: among the rings of a pool.
  RingAndSpace(RingWords& words, Ring::Word* cells, std::size_t capacity, std::size_t place) noexcept
      : ring(words.head, cells, capacity, place * tickets_of_ring + Ring::cells_for(capacity)), wanted(words.wanted),
        space(words.space) {}
};

class PoolLayout {
 public:
  /// Tasks that lost their worker before they started wait here for another; more than that wait in the supervisor.
  static constexpr std::size_t requeue_capacity = 4096;

  static std::size_t committed_bytes(std::size_t most_workers) noexcept {
    return 64 + sizeof(PoolWords) + ring_count * sizeof(RingWords) + Presence::bytes_for(most_workers) +
           most_workers * sizeof(Row);
  }
  static std::size_t ring_bytes(std::size_t queue_capacity) noexcept {
    return (requeue_cells() + 3 * Ring::cells_for(queue_capacity)) * sizeof(Ring::Word);
  }
  /// The cells of the rings, behind them the words of the crew and the registers of lives.
  static std::size_t read_only_bytes(std::size_t most_workers, std::size_t queue_capacity) noexcept {
    return (ring_bytes(queue_capacity) + 63) / 64 * 64 + sizeof(CrewWords) + most_workers * sizeof(LifeRegister);
  }

  /// Throws SharedMemoryExhausted.
  PoolLayout(Exchange& exchange, std::size_t workers, std::size_t most_workers, std::size_t queue_capacity);

  [[nodiscard]] RingAndSpace& ring(RingName name) noexcept { return rings_[static_cast<std::size_t>(name)]; }
  [[nodiscard]] std::array<RingAndSpace, ring_count>& rings() noexcept { return rings_; }
  [[nodiscard]] Row& row(std::size_t worker) const noexcept { return rows_[worker]; }
  [[nodiscard]] LifeRegister& lives(std::size_t worker) const noexcept { return lives_[worker]; }
  [[nodiscard]] PoolWords& words() const noexcept { return *words_; }

  /// Rows that are or were in use: the ones to look at.
  [[nodiscard]] std::size_t workers() const noexcept {
    // (1) acquire-load, pairs with (2): the rows below it are ready.
    return crew_->rows.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::size_t most_workers() const noexcept { return most_workers_; }

  /// How many workers there are meant to be.
  [[nodiscard]] std::size_t wanted() const noexcept {
    return crew_->wanted.load(std::memory_order_relaxed);  // relaxed: who changes it wakes who must know
  }
  /// One caller at a time, in the user's process.
  void want(std::size_t workers) noexcept {
    const auto count = static_cast<std::uint32_t>(workers);
    // First, for who finds them wanted looks for their rows.
    // (2) release-store, pairs with (1): the rows were made with the layout.
    if (workers > this->workers()) crew_->rows.store(count, std::memory_order_release);
    crew_->wanted.store(count, std::memory_order_relaxed);  // relaxed: see wanted()
  }

  /// Wakes one sleeper unless somebody looks for work already; true if it did. Call it after publishing.
  ///
  /// Lemma "publish / looking": a published task is seen by a worker that looks, or a sleeper is woken for it. The
  /// submitter stores the cell, then reads the bits; a worker that ends its look sets its bits (asleep, or neither when
  /// it found other work), then reads the cells once more. All four are seq_cst, so one of the two sees the other. A
  /// worker that found other work and sees this task wakes the next sleeper by this same call.
  bool wake_one() noexcept {
    const std::optional<WorkerIndex> sleeper = presence.choose_sleeper(workers());
    if (sleeper) rows_[*sleeper].wake.ring_one();
    return sleeper.has_value();
  }

  /// Wakes every worker, to look at its mailbox, at the words, and at the rings.
  void wake_all() noexcept {
    for (std::size_t i = 0; i < workers(); ++i) rows_[i].wake.ring_all();
  }

  Presence presence;

 private:
  static std::size_t requeue_cells() noexcept { return Ring::cells_for(requeue_capacity); }

  /// Lays out ring `i`: its words behind those of the rings before it, and its cells behind theirs.
  [[nodiscard]] RingAndSpace make_ring(const Exchange& exchange, std::size_t i, std::size_t queue_capacity) noexcept {
    auto* cells = reinterpret_cast<Ring::Word*>(exchange.ring_part());
    if (i > 0) cells += requeue_cells() + (i - 1) * Ring::cells_for(queue_capacity);
    auto* words = ::new (reinterpret_cast<std::byte*>(words_ + 1) + i * sizeof(RingWords)) RingWords;
    return RingAndSpace(*words, cells, i == 0 ? requeue_capacity : queue_capacity, i);
  }

  std::size_t most_workers_;
  PoolWords* words_;
  std::array<RingAndSpace, ring_count> rings_;
  Row* rows_;
  CrewWords* crew_;
  LifeRegister* lives_;
};

inline PoolLayout::PoolLayout(Exchange& exchange, std::size_t workers, std::size_t most_workers,
                              std::size_t queue_capacity)
    : presence(exchange.pool_part(), most_workers), most_workers_(most_workers),
      words_(::new(exchange.pool_part() + Presence::bytes_for(most_workers)) PoolWords),
      rings_{make_ring(exchange, 0, queue_capacity), make_ring(exchange, 1, queue_capacity),
             make_ring(exchange, 2, queue_capacity), make_ring(exchange, 3, queue_capacity)},
      rows_(reinterpret_cast<Row*>(reinterpret_cast<std::byte*>(words_ + 1) + ring_count * sizeof(RingWords))),
      crew_(reinterpret_cast<CrewWords*>(exchange.ring_part() + read_only_bytes(0, queue_capacity)) - 1),
      lives_(reinterpret_cast<LifeRegister*>(crew_ + 1)) {
  static_assert(ring_count == 4);
  if (!exchange.mapping.commit(exchange.ring_part(), read_only_bytes(most_workers, queue_capacity))) {
    throw SharedMemoryExhausted(
        "the system has no memory for the rings of a pool; set PoolOptions::queue_capacity to less");
  }
  for (std::size_t i = 0; i < most_workers; ++i) {
    ::new (static_cast<void*>(&rows_[i])) Row;
    ::new (static_cast<void*>(&lives_[i])) LifeRegister;
  }
  ::new (static_cast<void*>(crew_)) CrewWords;
  want(workers);
  exchange.spin.share_cpus_with(presence);
}

static_assert(sizeof(RingWords) % 64 == 0 && sizeof(Row) % 64 == 0, "they follow each other without padding");

}  // namespace procpool::detail
