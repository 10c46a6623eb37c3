// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Which workers look for work, and which sleep until they are woken.
///
/// Shared by  the workers, each changing its own three bits; whoever wakes a sleeper turns it into a looker at that
///            moment, so that the next submit wakes nobody; the supervisor clears the bits of the dead.
/// Progress   lock-free; one load tells for 32 workers.
/// Crash      a looker that dies or is stopped would keep others asleep: the supervisor's tick rings everyone while
///            tasks wait and somebody sleeps or nothing moves, and whoever was to look then counts no more.

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>

#include <procpool/detail/result/state_word.hpp>

namespace procpool::detail {

class Presence {
 public:
  /// If so many look already, a worker that finds no work looks no longer, but sleeps.
  static constexpr int most_lookers = 4;

  [[nodiscard]] static std::size_t bytes_for(std::size_t workers) noexcept { return groups(workers) * sizeof(Group); }

  /// `memory` is shared, aligned to 64.
  Presence(std::byte* memory, std::size_t workers) noexcept
      : groups_(reinterpret_cast<Group*>(memory)), count_(groups(workers)) {
    for (std::size_t i = 0; i < count_; ++i) ::new (static_cast<void*>(&groups_[i])) Group;
  }

  // A worker, about itself.

  /// From now on it looks for work, runs a task, or sleeps.
  void arrive(WorkerIndex worker) noexcept {
    groups_[worker / 32].present.fetch_or(bit(worker), std::memory_order_relaxed);  // relaxed: only counted
  }

  /// From now on it does none of that. If it has died: whoever buries it.
  void leave(WorkerIndex worker) noexcept {
    stop_looking(worker);
    groups_[worker / 32].present.fetch_and(~bit(worker), std::memory_order_relaxed);  // relaxed: only counted
  }

  // Each is a seq_cst read-modify-write: what it looks at afterwards is newer than the bits.

  void start_looking(WorkerIndex worker) noexcept { change(worker, asleep_bit(worker), looking_bit(worker)); }
  void stop_looking(WorkerIndex worker) noexcept { change(worker, looking_bit(worker) | asleep_bit(worker), 0); }
  void fall_asleep(WorkerIndex worker) noexcept { change(worker, looking_bit(worker), asleep_bit(worker)); }

  // Anyone.

  /// One of the first `workers` that sleeps, to be woken, now marked as looking; empty if somebody looks already or
  /// nobody sleeps.
  [[nodiscard]] std::optional<WorkerIndex> choose_sleeper(std::size_t workers) noexcept;

  /// From now on nobody relies on those who look: one of them may be stopped. They see what is published all the same,
  /// for whoever ends his look changes his bits first, whatever they say, and then looks once more.
  void forget_lookers() noexcept {
    constexpr std::uint64_t asleep = ~std::uint64_t{0} << 32;
    // relaxed: it tells nothing
    for (std::size_t i = 0; i < count_; ++i) groups_[i].bits.fetch_and(asleep, std::memory_order_relaxed);
  }

  [[nodiscard]] bool had_sleepers() const noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      if (groups_[i].bits.load(std::memory_order_relaxed) >> 32 != 0) return true;  // relaxed: racy by nature
    }
    return false;
  }

  /// True if more look than shall: the lines of the next task and of the ring go to each of those who look, and then
  /// from one to the next as all of them try to claim it, while the submitter waits for these same lines.
  [[nodiscard]] bool was_crowded() const noexcept {
    int looking = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      // relaxed: racy by nature
      looking += std::popcount(static_cast<std::uint32_t>(groups_[i].bits.load(std::memory_order_relaxed)));
    }
    return looking > most_lookers;
  }

  /// How many workers look for work or run a task.
  [[nodiscard]] std::size_t were_awake() const noexcept {
    std::size_t count = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      // relaxed: racy by nature
      const auto asleep = static_cast<std::uint32_t>(groups_[i].bits.load(std::memory_order_relaxed) >> 32);
      const std::uint32_t present = groups_[i].present.load(std::memory_order_relaxed);  // relaxed: as above
      count += static_cast<std::size_t>(std::popcount(present & ~asleep));
    }
    return count;
  }

  /// True if any worker looks for work or sleeps.
  [[nodiscard]] bool had_idle() const noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      // (4) seq_cst-load, pairs with (1): the load of the lemma in naps.hpp.
      if (groups_[i].bits.load(std::memory_order_seq_cst) != 0) return true;
    }
    return false;
  }

  /// True if the worker said that it has no task in hand.
  [[nodiscard]] bool was_idle(WorkerIndex worker) const noexcept {
    // relaxed: racy by nature
    const std::uint64_t bits = groups_[worker / 32].bits.load(std::memory_order_relaxed);
    return (bits & (looking_bit(worker) | asleep_bit(worker))) != 0;
  }

 private:
  struct alignas(64) Group {
    std::atomic<std::uint64_t> bits{0};     // low half: looking; high half: asleep; see above for who writes
    std::atomic<std::uint32_t> present{0};  // of workers that have arrived and not left; the same writers
  };

  static std::size_t groups(std::size_t workers) noexcept { return (workers + 31) / 32; }
  static std::uint32_t bit(WorkerIndex worker) noexcept { return std::uint32_t{1} << worker % 32; }
  static std::uint64_t looking_bit(WorkerIndex worker) noexcept { return std::uint64_t{1} << worker % 32; }
  static std::uint64_t asleep_bit(WorkerIndex worker) noexcept { return std::uint64_t{1} << (32 + worker % 32); }

  void change(WorkerIndex worker, std::uint64_t clear, std::uint64_t set) noexcept {
    std::atomic<std::uint64_t>& bits = groups_[worker / 32].bits;
    std::uint64_t now = bits.load(std::memory_order_relaxed);  // relaxed: the exchange below checks it
    // (1) seq_cst-rmw, pairs with (2), (3), (4): a submitter that does not see these bits published before it. relaxed:
    // what a failure reads is checked by the next exchange.
    while (
        !bits.compare_exchange_weak(now, (now & ~clear) | set, std::memory_order_seq_cst, std::memory_order_relaxed)) {
    }
  }

  /// The bits of workers that exist: a wild write may have set others.
  [[nodiscard]] static std::uint64_t existing(std::size_t group, std::size_t workers) noexcept {
    const std::size_t members = workers - group * 32;
    const std::uint64_t half = members >= 32 ? 0xFFFFFFFF : (std::uint64_t{1} << members) - 1;
    return half << 32 | half;
  }

  Group* groups_;
  std::size_t count_;
};

inline std::optional<WorkerIndex> Presence::choose_sleeper(std::size_t workers) noexcept {
  const std::size_t count = groups(workers);
  for (;;) {
    std::size_t found = count;
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < count; ++i) {
      // (2) seq_cst-load, pairs with (1): comes after the caller's publish in the one order of all of these.
      const std::uint64_t raw = groups_[i].bits.load(std::memory_order_seq_cst);
      const std::uint64_t now = raw & existing(i, workers);
      if ((now & 0xFFFFFFFF) != 0) return std::nullopt;
      if (now != 0 && found == count) {
        found = i;
        word = raw;
      }
    }
    if (found == count) return std::nullopt;
    const auto in_group = static_cast<WorkerIndex>(std::countr_zero((word & existing(found, workers)) >> 32));
    const auto worker = static_cast<WorkerIndex>(found * 32 + in_group);
    // (3) seq_cst-rmw, pairs with (1): of several who see the sleeper one wakes it. relaxed: after a failure all is
    // read again.
    if (groups_[found].bits.compare_exchange_strong(word, (word & ~asleep_bit(worker)) | looking_bit(worker),
                                                    std::memory_order_seq_cst, std::memory_order_relaxed)) {
      return worker;
    }
  }
}

}  // namespace procpool::detail
