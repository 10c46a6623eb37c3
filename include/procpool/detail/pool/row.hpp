// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the user's process, the zygote and a worker tell each other about that worker.
///
/// Shared by  all; one row and one register of lives per worker. Who writes what is said at each member.
/// Crash      the row outlives the worker and says what it had in hand; it is repaired before the next life begins.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <procpool/detail/pool/crash_record.hpp>
#include <procpool/detail/result/extent.hpp>
#include <procpool/detail/ring/ring.hpp>
#include <procpool/detail/task/worker_self.hpp>
#include <procpool/detail/wait/event_count.hpp>

namespace procpool::detail {

/// The beginning of a label, for whoever looks at the workers. Written by the worker, read at any time: a reader that
/// finds another task in hand afterwards discards it.
class ShownLabel {
 public:
  static constexpr std::size_t capacity = 64;  // bytes; a longer label is shown cut off

  void show(std::string_view label) noexcept {
    if (label.empty() && is_shown_ == 0) return;
    is_shown_ = label.empty() ? 0 : 1;
    char text[capacity] = {};
    label.copy(text, capacity);
    for (std::size_t i = 0; i < words_.size(); ++i) {
      std::uint64_t word = 0;
      std::memcpy(&word, text + i * sizeof word, sizeof word);
      words_[i].store(word, std::memory_order_relaxed);  // relaxed: checked by the reader, as said above
    }
  }
  [[nodiscard]] std::string was_shown() const {
    char text[capacity + 1] = {};
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::uint64_t word = words_[i].load(std::memory_order_relaxed);  // relaxed: as in show()
      std::memcpy(text + i * sizeof word, &word, sizeof word);
    }
    return text;
  }

 private:
  std::uint64_t is_shown_ = 0;  // the worker's alone; no bool, which a wild write could make neither true nor false
  std::array<std::atomic<std::uint64_t>, capacity / 8> words_{};
};

/// The peak of a life's memory before the last of its measured tasks, which count it anew. Written by the worker; read
/// after its death.
class KeptPeak {
 public:
  /// `bytes`: the peak since the one before.
  void keep(Life life, std::uint64_t bytes) noexcept {
    bytes_.store(std::max(bytes, of(life)), std::memory_order_relaxed);  // relaxed: read after this death only
    life_.store(life, std::memory_order_relaxed);                        // relaxed: as above
  }
  /// 0: none was kept.
  [[nodiscard]] std::uint64_t of(Life life) const noexcept {
    // relaxed: its own, or that of the dead, who write nothing any more
    return life_.load(std::memory_order_relaxed) == life ? bytes_.load(std::memory_order_relaxed) : 0;
  }

 private:
  std::atomic<Life> life_{0};
  std::atomic<std::uint64_t> bytes_{0};
};

struct alignas(64) Row {
  static constexpr std::size_t failure_capacity = 1024;

  // Written by the worker; read by the supervisor, also after the worker's death.
  std::atomic<std::uint64_t> current{0};     // the cell of the task in hand, set before it is claimed; 0: none
  std::atomic<std::uint32_t> retries{0};     // of tasks that threw, by all lives: the task in hand has begun anew
  std::atomic<std::uint64_t> filling{0};     // FillingWord: the outbox block handed out and not yet published
  std::atomic<std::uint64_t> tasks_done{0};  // by all lives; a statistic that may count one too many after a death
  std::atomic<Life> begun{0};                // the life that runs the initializer, or has run it
  std::atomic<Life> ready{0};                // the life whose initializer has succeeded
  ShownLabel label;                          // of the task in hand
  KeptPeak peak;

  // Written by the user's process; read by the worker.
  alignas(64) std::atomic<std::uint64_t> mailbox{0};  // a cell for this worker alone; the worker sets it to 0
  EventCount wake;                                    // the worker sleeps on it; anyone rings

  // Written by a worker whose initializer threw, before it exits; read by the supervisor after its death.
  std::atomic<std::uint32_t> failure_size{0};
  std::byte failure[failure_capacity];  // an encoded exception

  // Written by a worker that crashes; read by the supervisor after its death.
  CrashRecord crash;
};

/// The lives of one worker. It lies where workers cannot write, so what it says of births and deaths is true.
struct alignas(64) LifeRegister {
  // Written by the supervisor; read by the zygote.
  std::atomic<Life> wanted{0};     // the life that should be; above `born`: to be forked
  std::atomic<Life> condemned{0};  // the life to be killed, if it is the one that was born last

  // Written by the zygote; read by the supervisor.
  std::atomic<Life> born{0};                  // the life that was forked last
  std::atomic<std::int32_t> pid{0};           // of that life
  std::atomic<Life> dead{0};                  // the life that was reaped last; its status follows
  std::atomic<std::int32_t> status{0};        // of wait4(2), and so are the next two
  std::atomic<std::uint64_t> peak_memory{0};  // bytes
  std::atomic<std::int64_t> cpu_time{0};      // nanoseconds
  std::atomic<std::int32_t> fork_error{0};    // errno of the last attempt to fork; 0: it succeeded
};

}  // namespace procpool::detail
