// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How the reservation of a pool is divided among what lies in it.

#include <algorithm>
#include <cstddef>
#include <string>

#include <procpool/detail/memory/default_reservation.hpp>
#include <procpool/detail/result/outbox.hpp>
#include <procpool/detail/result/slot.hpp>
#include <procpool/detail/ring/ring.hpp>
#include <procpool/error/error.hpp>
#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

/// Bytes of each part, in the order in which they lie.
struct MemoryPlan {
  static constexpr std::size_t granule = std::size_t{64} << 10;
  static constexpr std::size_t most_slots = std::size_t{1} << handle_bits;

  std::size_t fixed;      // committed at once: signals, completion rings, the outbox's table, and the pool's own part
  std::size_t rings;      // of the pool itself: what workers only read
  std::size_t slots;      // committed as slots are used
  std::size_t arguments;  // blocks of the parent that workers only read
  std::size_t data;       // blocks of the parent that workers write to
  std::size_t outbox;     // blocks of the workers

  /// Divides `total` bytes, 0: as many as default_reservation() says. If they do not suffice for a pool of so many
  /// workers it throws UsageError, or SharedMemoryExhausted if nobody has asked for so few.
  static MemoryPlan divide(std::size_t total, std::size_t workers, std::size_t fixed, std::size_t rings);

  [[nodiscard]] std::size_t total() const noexcept { return fixed + rings + slots + arguments + data + outbox; }

 private:
  static constexpr std::size_t align(std::size_t bytes) noexcept { return bytes / granule * granule; }
  static constexpr std::size_t align_up(std::size_t bytes) noexcept { return align(bytes + granule - 1); }
};

inline MemoryPlan MemoryPlan::divide(std::size_t total, std::size_t workers, std::size_t fixed, std::size_t rings) {
  // More than a quarter becomes the outbox, where a worker that has once filled an extent keeps it for its life.
  constexpr std::size_t least_for_worker = std::size_t{4} * Outbox::smallest_extent;
  const std::size_t least = std::max<std::size_t>(4, workers) * least_for_worker;
  MemoryPlan plan{};
  plan.fixed = align_up(fixed);
  plan.rings = align_up(rings);
  const std::size_t needed = plan.fixed + plan.rings + least;
  if (total == 0) {
    total = default_reservation(needed);
    if (total < needed) {
      throw SharedMemoryExhausted("this pool needs at least " + std::to_string(needed) +
                                  " bytes of shared memory; the limits of this process, a quarter of RLIMIT_AS or all "
                                  "of RLIMIT_FSIZE, leave it " +
                                  std::to_string(total) + ": raise them");
    }
  }
  if (total < needed) {
    throw UsageError("PoolOptions::shared_memory is " + std::to_string(total) + " bytes; this pool needs at least " +
                     std::to_string(needed));
  }
  const std::size_t rest = align(total - plan.fixed - plan.rings);
  plan.slots = std::min(align(rest / 4), most_slots * sizeof(Slot));
  plan.data = align((rest - plan.slots) / 4);
  plan.outbox = align((rest - plan.slots - plan.data) / 2);
  plan.arguments = rest - plan.slots - plan.data - plan.outbox;
  return plan;
}

}  // namespace procpool::detail
