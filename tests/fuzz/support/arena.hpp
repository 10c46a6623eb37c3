// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The shared memory of a pool whose workers are bytes of a fuzzer.

#include <sanitizer/asan_interface.h>

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>

#include <procpool/detail/pool/pool_layout.hpp>
#include <procpool/detail/task/result_handle.hpp>

#include "input.hpp"

namespace fuzz {

/// Ends the program, which the fuzzer reports with its input.
[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "the library broke its word: %s\n", what);
  std::abort();
}
inline void require(bool holds, const char* what) {
  if (!holds) fail(what);
}

/// Made once; every execution leaves it as it was, but for what reset() mends. Blocks and the outbox are poisoned: a
/// target says what of them may be read.
class Arena {
 public:
  static constexpr std::size_t workers = 3;
  /// Of each ring: fewer than an execution has tasks, so that it becomes full; and from a ruined head the way is short.
  static constexpr std::size_t queue_capacity = 4;

  Arena()
      : exchange_(new procpool::detail::Exchange(
            {.total = std::size_t{8} << 20,
             .workers = workers,
             .most_workers = workers,
             .own = procpool::detail::PoolLayout::committed_bytes(workers),
             .rings = procpool::detail::PoolLayout::read_only_bytes(workers, queue_capacity)},
            std::chrono::nanoseconds::zero())),
        layout_(*exchange_, workers, workers, queue_capacity) {
    const procpool::detail::Outbox& outbox = exchange_->outbox;
    require(exchange_->mapping.commit(outbox.address(0), outbox.capacity()), "the outbox is not committed");
    ASAN_POISON_MEMORY_REGION(outbox.address(0), outbox.capacity());
    for (const procpool::detail::BlockAllocator* blocks : {&exchange_->arguments, &exchange_->data}) {
      ASAN_POISON_MEMORY_REGION(blocks->region().begin(), blocks->region().size());
    }
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { exchange_->release(); }

  [[nodiscard]] procpool::detail::Exchange& exchange() noexcept { return *exchange_; }
  [[nodiscard]] procpool::detail::PoolLayout& layout() noexcept { return layout_; }

  /// Of what workers write, what outlives their tasks is as it was in the beginning.
  void reset() {
    procpool::detail::Outbox& outbox = exchange_->outbox;
    for (std::size_t i = 0; i < outbox.count(); ++i) {
      ::new (static_cast<void*>(&outbox.extent(i))) procpool::detail::Extent;
    }
  }

  /// Rings, rows and what else the work of a pool goes through are as in the beginning. Of all that zeros are the state
  /// at rest. The ring of requeued tasks has the capacity of the others.
  void reset_pool() {
    using namespace procpool::detail;
    auto* words = reinterpret_cast<RingWords*>(&layout_.words() + 1);
    auto* cells = reinterpret_cast<Ring::Word*>(exchange_->ring_part());
    constexpr std::size_t lap = std::bit_ceil(queue_capacity);
    std::memset(static_cast<void*>(cells), 0, ring_count * lap * sizeof *cells);
    for (std::size_t i = 0; i < ring_count; ++i) {
      RingAndSpace& ring = layout_.rings()[i];
      std::destroy_at(&ring);
      std::construct_at(&ring, *::new (static_cast<void*>(words++)) RingWords, cells, queue_capacity, i);
      cells += lap;
    }
    std::memset(exchange_->pool_part(), 0, Presence::bytes_for(workers));
    std::memset(static_cast<void*>(&layout_.row(0)), 0, workers * sizeof(Row));
    std::memset(static_cast<void*>(&exchange_->completions(0)), 0, workers * sizeof(CompletionRing));
    std::memset(static_cast<void*>(&layout_.lives(0)), 0, workers * sizeof(LifeRegister));
  }

  /// A slot that is in use, and sound.
  [[nodiscard]] procpool::detail::Handle allocate() {
    std::optional<procpool::detail::Handle> handle;
    {
      const std::lock_guard lock(exchange_->submit_mutex);
      handle = exchange_->slots.allocate();
    }
    require(handle.has_value(), "slots were not given back");
    procpool::detail::Slot& slot = exchange_->slots[*handle];
    slot.mutex.initialize();
    slot.result = {};
    slot.task = {};
    exchange_->retain();
    return *handle;
  }

  /// An address as a wild pointer may have left it: null, in the outbox, at either of its ends, elsewhere in the shared
  /// memory, or anything.
  [[nodiscard]] std::uint64_t hostile_address(Input& input) {
    const procpool::detail::Outbox& outbox = exchange_->outbox;
    const auto begin = reinterpret_cast<std::uint64_t>(outbox.address(0));
    switch (input.below(6)) {
      case 0: return 0;
      case 1: return begin + input.take<std::uint16_t>();
      case 2: return begin + outbox.capacity() - input.take<std::uint16_t>();
      case 3: return begin - input.take<std::uint16_t>();
      case 4: return reinterpret_cast<std::uint64_t>(exchange_->data.region().begin()) + input.take<std::uint16_t>();
      default: return input.take<std::uint64_t>();
    }
  }

  /// The bookkeeping of the outbox, as a wild pointer may have left it.
  void ruin_extents(Input& input) {
    procpool::detail::Outbox& outbox = exchange_->outbox;
    for (std::size_t writes = input.below(4) + 1; writes > 0; --writes) {
      const std::size_t at = input.take<std::uint16_t>() % (outbox.count() * sizeof(procpool::detail::Extent) - 8);
      input.write_over(reinterpret_cast<std::byte*>(&outbox.extent(0)) + at, 8);
    }
  }

 private:
  procpool::detail::Exchange* exchange_;
  procpool::detail::PoolLayout layout_;
};

/// For a scope, these bytes of memory that is poisoned may be read and written.
class Readable {
 public:
  explicit Readable(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {
    ASAN_UNPOISON_MEMORY_REGION(bytes_.data(), bytes_.size());
  }
  Readable(const Readable&) = delete;
  Readable& operator=(const Readable&) = delete;
  ~Readable() { ASAN_POISON_MEMORY_REGION(bytes_.data(), (bytes_.size() + 7) / 8 * 8); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace fuzz
