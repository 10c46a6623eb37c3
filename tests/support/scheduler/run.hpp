// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// One interleaving: fibers that take turns at every access to an atomic and every call of the kernel, as a seed
/// decides, and that may die or stand still there.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fiber.hpp"
#include "random.hpp"
#include "store_buffer.hpp"

namespace model {

/// What may happen in a run, beside switches.
struct Manner {
  int most_deaths = 0;                      // of mortal fibers
  int most_stops = 0;                       // of mortal fibers: SIGSTOP, and some time later SIGCONT
  std::int64_t longest_stop = 300'000'000;  // nanoseconds
  bool sleeps_end = true;                   // false: no sleep ends by its timeout, so that a missing wake-up shows
  bool stores_wait = true;                  // stores become visible to others when the memory model says so at last
  std::uint64_t most_steps = 1'000'000;     // a run that takes longer has no end
};

inline constexpr std::int64_t never = INT64_MAX;  // nanoseconds

class Fiber {
 public:
  enum class State : std::uint8_t { ready, asleep, ended };

  std::string name;
  bool is_mortal = false;                // a process of its own, which may be killed
  std::function<void(bool)> when_ended;  // called in the fiber that ended it; true: it was killed
  State state = State::ready;
  bool has_timed_out = false;          // how its last sleep has ended
  const volatile void* bed = nullptr;  // on what it sleeps
  std::int64_t wakes_at = never;
  std::int64_t stands_until = 0;  // stopped until then
  std::int64_t priority = 0;
  StoreBuffer stores;
  Context context;
};

class Run {
 public:
  Run(std::uint64_t seed, const Manner& manner);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// Runs `user` as the first fiber, until it returns. Empty, or what went wrong.
  std::string operator()(std::function<void()> user);

  /// Each step is printed, with the offset in the program that it was taken from: `addr2line -Cfie` tells the line.
  static void trace_from_now_on(bool is_wanted) noexcept;

  // What a scenario does, in a fiber.

  /// Another thread, or, if it is mortal, another process.
  Fiber& start(std::string name, std::function<void()> body, bool is_mortal = false,
               std::function<void(bool)> when_ended = {});
  void join(Fiber& fiber);
  void kill(Fiber& fiber);
  void let_sleeps_end() noexcept { manner_.sleeps_end = true; }
  void end_deaths_and_stops() noexcept;
  /// `look()` with nobody between its steps; what it stores is seen afterwards.
  template <class Look>
  auto in_one_step(Look look) {
    is_one_step_ = true;
    const auto seen = look();
    is_one_step_ = false;
    self_->stores.drain_all();
    return seen;
  }
  [[noreturn]] void fail(const std::string& why);
  [[nodiscard]] Random& random() noexcept { return random_; }

  /// Plain writes there may be seen by others, too; a death between two of them leaves the half.
  void share(const void* begin, std::size_t size) noexcept {
    shared_ = static_cast<const std::byte*>(begin);
    shared_size_ = size;
  }

  // What stands in for the processor and the kernel does, in a fiber.

  /// The run that the calling code is part of; null outside a fiber.
  [[nodiscard]] static Run* current() noexcept { return current_; }
  [[nodiscard]] Fiber& self() noexcept { return *self_; }

  /// Before each step that others may see: perhaps others go on first, or this one ends here.
  void point(const char* step, const volatile void* address, const void* caller);

  /// The store of an atomic: perhaps it waits until later. What lies on a stack is not waited for.
  void store(volatile void* address, std::uint64_t value, std::size_t size, Order order);
  /// As a release store: `write(address)` may wait.
  void release(volatile void* address, void (*write)(volatile void* address));
  [[nodiscard]] bool is_shared(const void* address) const noexcept {
    return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(shared_) < shared_size_;
  }

  /// Sleeps until woken (true) or for `timeout` nanoseconds at most.
  bool sleep_on(const volatile void* bed, std::int64_t timeout);
  int wake(const volatile void* bed, std::uint64_t most);
  /// Others are more urgent.
  void yield();
  [[nodiscard]] std::int64_t read_clock() noexcept { return now_ += 100; }

  [[nodiscard]] bool is_stopped(const Fiber& fiber) const noexcept { return fiber.stands_until > now_; }

  // What became of it.

  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }
  [[nodiscard]] int deaths() const noexcept { return deaths_; }
  [[nodiscard]] std::uint64_t trail() const noexcept { return trail_; }  // the same for the same interleaving

 private:
  void go_on();
  void switch_to(Fiber& next);
  [[nodiscard]] Fiber* choose();
  [[nodiscard]] bool is_runnable(const Fiber& fiber) const noexcept {
    return fiber.state == Fiber::State::ready && !is_stopped(fiber);
  }
  void strike();
  void let_time_pass();
  void wake_who_is_due();
  [[nodiscard]] std::int64_t next_event() const noexcept;
  void drain_something();
  [[noreturn]] void fail_asleep();
  void trace(const char* step, const volatile void* address, const void* caller) const;

  static inline Run* current_ = nullptr;

  Manner manner_;
  Random random_;
  Context base_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  Fiber* self_ = nullptr;
  std::string failure_;
  std::uint64_t steps_ = 0;
  std::uint64_t trail_ = 0;
  std::uint64_t steps_in_turn_ = 0;
  int deaths_ = 0;
  std::int64_t now_ = 1'000'000'000'000;
  std::int64_t next_event_ = never;

  const std::byte* shared_ = nullptr;
  std::size_t shared_size_ = 0;

  // The temper of this run, which its seed decides.
  std::uint64_t switch_each_;  // steps on average; 0: by priorities, which change at few points
  std::uint64_t drain_each_;
  std::uint64_t strike_each_;
  std::uint64_t hurry_each_;  // steps until time jumps to the next timer
  std::vector<std::uint64_t> change_points_;
  std::int64_t lowest_priority_ = 0;
  bool must_choose_ = false;
  bool is_one_step_ = false;
};

/// In a fiber: what a scenario demands.
inline void demand(bool is_so, const char* what) {
  if (!is_so) Run::current()->fail(what);
}

}  // namespace model
