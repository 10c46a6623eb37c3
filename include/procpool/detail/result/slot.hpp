// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The place of one task: its state, its result, its callable and arguments, in two cache lines.
///
/// Shared by  the user's process and the workers; fields are written by the submitter while Free, the result by the
///            claimer under the mutex, the state as state_word.hpp draws it.
/// Progress   every transition is one compare-and-swap; the mutex is held for the copy of 16 bytes.
/// Crash      the state says who owned the task; a mutex whose owner died is repaired by the next one to lock it.

#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <procpool/detail/memory/robust_mutex.hpp>
#include <procpool/detail/os/futex.hpp>
#include <procpool/detail/result/state_word.hpp>

namespace procpool::detail {

/// How to read a result.
enum class ResultKind : std::uint8_t {
  none,              ///< void, or a chunk whose results lie in the parent's block
  inline_value,      ///< up to eight bytes, in the word
  value,             ///< encoded in an outbox block at the word's address
  exception,         ///< an encoded exception in an outbox block
  outbox_exhausted,  ///< the result needed `size` bytes that the shared memory did not have
  local,             ///< made in the user's own process; kept in its private memory
};

/// Where the result of a task lies.
struct ResultHeader {
  std::uint64_t word = 0;  // the value itself, or the address of its block
  static constexpr std::uint64_t largest_size = (std::uint64_t{1} << 56) - 1;
  std::uint64_t size : 56 = 0;
  ResultKind kind : 8 = ResultKind::none;
};
static_assert(sizeof(ResultHeader) == 16);

class TaskContext;
using TaskFunction = void (*)(TaskContext&);

/// What a worker needs to run a task.
struct TaskRecord {
  static constexpr std::size_t inline_capacity = 48;
  static constexpr std::uint16_t has_block = 1;  // the arguments lie in the block at `block()`
  static constexpr std::uint16_t has_terms = 2;  // the block begins with Terms
  static constexpr std::uint16_t is_chunk = 4;   // the arguments are a chunk of a map

  static constexpr std::uint64_t largest_size = (std::uint64_t{1} << 48) - 1;

  TaskFunction run = nullptr;
  std::uint64_t size : 48 = 0;  // bytes of the arguments
  std::uint64_t flags : 16 = 0;
  alignas(8) std::byte arguments[inline_capacity];

  [[nodiscard]] bool has(std::uint16_t flag) const noexcept { return (flags & flag) != 0; }
  [[nodiscard]] std::byte* block() const noexcept {
    std::byte* address = nullptr;
    __builtin_memcpy(&address, arguments, sizeof address);
    return address;
  }
  void set_block(std::byte* address) noexcept {
    __builtin_memcpy(arguments, &address, sizeof address);
    flags |= has_block;
  }
};
static_assert(sizeof(TaskRecord) == 64);

struct alignas(64) Slot {
  std::atomic<std::uint64_t> state{0};  // whoever the state machine allows; read by all
  RobustMutex mutex;                    // guards `result`
  ResultHeader result;                  // written by the claimer, read by the owner of the future, once Done
  TaskRecord task;                      // written by the submitter while Free, read by the claimer and the supervisor

  [[nodiscard]] StateWord load() const noexcept {
    // (1) acquire-load, pairs with (2), (3): what the last transition published is visible.
    return StateWord(state.load(std::memory_order_acquire));
  }

  /// One transition. False, with `expected` brought up to date, if the word has changed meanwhile.
  bool transition(StateWord& expected, StateWord desired) noexcept {
    std::uint64_t raw = expected.bits();
    // (2) acq_rel-rmw, pairs with (1), (2), (3): what was written before the transition is visible after it.
    const bool changed =
        state.compare_exchange_strong(raw, desired.bits(), std::memory_order_acq_rel, std::memory_order_acquire);
    if (!changed) expected = StateWord(raw);
    return changed;
  }

  /// Free → Queued by the submitter, Final → Free by the one who took it: nobody else may change the word then.
  void store(StateWord desired) noexcept {
    // (3) release-store, pairs with (1), (2): the task record is visible to the claimer.
    state.store(desired.bits(), std::memory_order_release);
  }

  /// Sleeps until the word changes from `seen`, a signal, or the timeout. Only with the waiting flag set in `seen`.
  void sleep(StateWord seen, std::chrono::nanoseconds timeout) const noexcept {
    futex_wait(&state, static_cast<std::uint32_t>(seen.bits()), timeout);
  }
  void wake_sleepers() const noexcept { futex_wake(&state); }
};

static_assert(std::endian::native == std::endian::little, "the futex is the half of the word that holds the phase");
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a lock would not be address-free");
static_assert(sizeof(Slot) == 128 && offsetof(Slot, task) == 64, "one line for the result, one for the task");

/// Sets flags on a task that is not final. The word as it was found last; final if it was too late.
template <class Change>
StateWord set_flag(Slot& slot, Change change) noexcept {
  StateWord seen = slot.load();
  while (!seen.is_final()) {
    const StateWord wanted = change(seen);
    if (wanted.bits() == seen.bits() || slot.transition(seen, wanted)) return wanted;
  }
  return seen;
}

}  // namespace procpool::detail
