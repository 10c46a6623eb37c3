// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A machine of many cores, each with a cache of its own, on which the pool's code runs to be counted: whose line moves
/// when, and how long a core waits for it. It is the same each time, and knows of nothing but accesses to memory.
///
/// A core has a clock. Whoever's clock is the earliest goes on, up to its next access to memory; that takes `work`, and
/// if another core has written the line since, `transfer` more. Lines move one after the other, if they are the same.
/// Only shared memory is looked at: what is private to a process costs work and no transfer.

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "../support/scheduler/fiber.hpp"

namespace lines {

using Time = std::int64_t;  // nanoseconds

struct Costs {
  Time work = 3;        // of an access, with the instructions around it
  Time transfer = 100;  // of a line that another core holds
  Time sleep = 5'000;   // from the wake-up of a sleeper to its next step
  Time system_call = 300;
};

enum class Access : std::uint8_t {
  read,
  write,   // the core goes on, and the line comes later
  change,  // reads and writes, or a store that the core waits for
};

/// What one core did.
struct Tally {
  std::uint64_t accesses = 0;   // to shared memory
  std::uint64_t transfers = 0;  // of lines that another core had
  std::uint64_t needless = 0;   // of them: what the other core wrote was not looked at, so it is false sharing
  std::uint64_t wakes = 0;      // calls of futex(2) that woke somebody
  std::uint64_t rings = 0;      // calls that woke nobody
  Time waited = 0;              // for transfers

  Tally& operator+=(const Tally& other) noexcept;
};

class Machine {
 public:
  static constexpr std::size_t most_cores = 72;

  /// Of `cores` cores that share the memory at `shared`.
  Machine(std::size_t cores, const void* shared, std::size_t size, const Costs& costs);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Runs `programs[i]` on core `i`, all from the same moment on, until all have returned. How long that took.
  Time run(std::vector<std::function<void()>> programs);

  /// Of a core, since forget_counts().
  [[nodiscard]] Tally& of(std::size_t core) { return tallies_[core]; }
  /// The transfers of each line that moved, by its address.
  [[nodiscard]] const std::map<std::uintptr_t, Tally>& by_line() const noexcept { return by_line_; }
  void forget_counts();

  // What the code that runs on a core does.

  /// Null outside run().
  [[nodiscard]] static Machine* current() noexcept { return current_; }
  [[nodiscard]] std::size_t core() const noexcept { return core_; }
  [[nodiscard]] Time now() const noexcept { return cores_[core_].clock; }
  void access(const volatile void* address, std::size_t size, Access access);
  void work(Time time);
  /// As futex(2).
  bool sleep_on(const volatile std::uint32_t* word, std::uint32_t expected, Time timeout);
  int wake(const volatile void* word, int most);

 private:
  static constexpr Time never = INT64_MAX;
  static constexpr std::size_t line_size = 64;
  static constexpr std::size_t granule = 4;
  using Granules = std::uint16_t;  // of a line, a bit for each

  enum class State : std::uint8_t { idle, ready, asleep };

  struct Core {
    State state = State::idle;
    Time clock = 0;
    Time wakes_at = never;
    const volatile void* bed = nullptr;
    bool has_timed_out = false;
    std::unique_ptr<model::Context> context;
  };

  struct Line {
    std::bitset<most_cores> holders;
    bool is_dirty = false;  // one holder, which has written
    Time free_at = 0;
    std::array<Granules, most_cores> written_since{};  // by others, since the core lost the line
    std::bitset<most_cores> is_in_doubt;               // it came, and nothing of that was looked at yet
  };

  void touch(Line& line, std::uintptr_t address, Granules granules, Access access);
  void fetch(Line& line, std::uintptr_t address, Access access);
  void judge(Line& line, std::uintptr_t address, std::size_t core);
  void take_turn();
  [[nodiscard]] std::size_t earliest() const;
  void switch_to(std::size_t core);

  static inline Machine* current_ = nullptr;

  std::size_t count_;
  std::uintptr_t begin_;
  std::size_t size_;
  Costs costs_;
  std::array<Core, most_cores + 1> cores_;  // the last one runs run()
  std::size_t core_ = most_cores;
  std::unordered_map<std::uintptr_t, Line> lines_;
  std::array<Tally, most_cores + 1> tallies_{};
  std::map<std::uintptr_t, Tally> by_line_;
};

}  // namespace lines
