// SPDX-License-Identifier: BSL-1.0

#include "machine.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <utility>

namespace lines {

namespace {

constexpr std::size_t stack_size = std::size_t{128} << 10;

std::byte* stack_of(std::size_t core) {
  static std::byte* const all = [] {
    void* memory = ::mmap(nullptr, Machine::most_cores * stack_size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return static_cast<std::byte*>(memory);
  }();
  return all + core * stack_size;
}

}  // namespace

Tally& Tally::operator+=(const Tally& other) noexcept {
  accesses += other.accesses;
  transfers += other.transfers;
  needless += other.needless;
  wakes += other.wakes;
  rings += other.rings;
  waited += other.waited;
  return *this;
}

Machine::Machine(std::size_t cores, const void* shared, std::size_t size, const Costs& costs)
    : count_(cores), begin_(reinterpret_cast<std::uintptr_t>(shared)), size_(size), costs_(costs) {
  cores_[most_cores].context = std::make_unique<model::Context>();
}

Machine::~Machine() = default;

Time Machine::run(std::vector<std::function<void()>> programs) {
  for (auto& [address, line] : lines_) line.free_at = 0;
  for (std::size_t i = 0; i < programs.size(); ++i) {
    cores_[i] = {State::ready, 0, never, nullptr, false, std::make_unique<model::Context>()};
    cores_[i].context->prepare(stack_of(i), stack_size, [this, program = std::move(programs[i])] {
      program();
      cores_[core_].state = State::idle;
      switch_to(earliest());
    });
  }
  current_ = this;
  switch_to(earliest());
  current_ = nullptr;
  Time end = 0;
  for (std::size_t i = 0; i < programs.size(); ++i) end = std::max(end, cores_[i].clock);
  return end;
}

/// What is still in doubt was needless.
void Machine::forget_counts() {
  for (auto& [address, line] : lines_) line.is_in_doubt.reset();
  tallies_ = {};
  by_line_.clear();
}

void Machine::access(const volatile void* address, std::size_t size, Access access) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  take_turn();
  if (at - begin_ >= size_) return;
  for (std::uintptr_t line = at / line_size; line <= (at + size - 1) / line_size; ++line) {
    const std::size_t first = std::max(at, line * line_size) % line_size / granule;
    const std::size_t last = (std::min(at + size, (line + 1) * line_size) - 1) % line_size / granule;
    Granules granules = 0;
    for (std::size_t i = first; i <= last; ++i) granules = static_cast<Granules>(granules | 1U << i);
    touch(lines_[line], line * line_size, granules, access);
  }
}

void Machine::touch(Line& line, std::uintptr_t address, Granules granules, Access access) {
  ++tallies_[core_].accesses;
  const bool is_alone = line.holders.count() == 1 && line.holders[core_];
  if (access == Access::read ? !line.holders[core_] : !is_alone) fetch(line, address, access);
  if (line.is_in_doubt[core_] && (granules & line.written_since[core_]) != 0) line.is_in_doubt[core_] = false;
  if (access == Access::read) return;
  line.is_dirty = true;
  for (std::size_t i = 0; i < count_; ++i) {
    if (i != core_) line.written_since[i] = static_cast<Granules>(line.written_since[i] | granules);
  }
}

void Machine::fetch(Line& line, std::uintptr_t address, Access access) {
  const bool is_elsewhere = line.holders.any();
  const bool had_it = line.holders[core_];
  if (is_elsewhere) {
    ++tallies_[core_].transfers;
    ++by_line_[address].transfers;
    // Copies of a line that nobody writes are given out side by side.
    const bool is_in_turn = line.is_dirty || access != Access::read;
    Time& clock = cores_[core_].clock;
    const Time arrives = (is_in_turn ? std::max(clock, line.free_at) : clock) + costs_.transfer;
    if (is_in_turn) line.free_at = arrives;
    if (access != Access::write) {
      tallies_[core_].waited += arrives - clock;
      clock = arrives;
    }
  }
  if (!had_it) {
    line.is_in_doubt[core_] = is_elsewhere && line.written_since[core_] != 0;
  }
  if (access == Access::read) {
    line.is_dirty = false;
  } else {
    for (std::size_t i = 0; i < count_; ++i) {
      if (i == core_ || !line.holders[i]) continue;
      judge(line, address, i);
      line.written_since[i] = 0;
    }
    line.holders.reset();
  }
  line.holders[core_] = true;
}

/// The core loses the line.
void Machine::judge(Line& line, std::uintptr_t address, std::size_t core) {
  if (!line.is_in_doubt[core]) return;
  line.is_in_doubt[core] = false;
  ++tallies_[core].needless;
  ++by_line_[address].needless;
}

void Machine::work(Time time) {
  cores_[core_].clock += time;
  take_turn();
}

bool Machine::sleep_on(const volatile std::uint32_t* word, std::uint32_t expected, Time timeout) {
  work(costs_.system_call);
  if (*word != expected) return true;
  Core& self = cores_[core_];
  self.state = State::asleep;
  self.bed = word;
  self.has_timed_out = false;
  self.wakes_at = timeout < 0 ? never : self.clock + timeout;
  switch_to(earliest());
  return !self.has_timed_out;
}

int Machine::wake(const volatile void* word, int most) {
  work(costs_.system_call);
  int woken = 0;
  for (std::size_t i = 0; i < count_ && woken < most; ++i) {
    Core& sleeper = cores_[i];
    if (sleeper.state != State::asleep || sleeper.bed != word) continue;
    sleeper.state = State::ready;
    sleeper.clock = std::max(sleeper.clock, now() + costs_.sleep);
    ++woken;
  }
  ++(woken > 0 ? tallies_[core_].wakes : tallies_[core_].rings);
  return woken;
}

void Machine::take_turn() {
  cores_[core_].clock += costs_.work;
  const std::size_t next = earliest();
  if (next != core_) switch_to(next);
}

/// Whose step is next; of sleepers, only one whose time is over. If nobody is left, that of run().
std::size_t Machine::earliest() const {
  std::size_t found = most_cores;
  Time at = never;
  bool somebody_sleeps = false;
  for (std::size_t i = 0; i < count_; ++i) {
    const Core& core = cores_[i];
    const Time when = core.state == State::ready ? core.clock : core.state == State::asleep ? core.wakes_at : never;
    somebody_sleeps |= core.state == State::asleep;
    if (when < at || (when == at && i == core_ && at != never)) {
      found = i;
      at = when;
    }
  }
  if (found == most_cores && somebody_sleeps) {
    std::fputs("every core sleeps, and none will be woken\n", stderr);
    std::abort();
  }
  return found;
}

void Machine::switch_to(std::size_t core) {
  Core& next = cores_[core];
  if (next.state == State::asleep) {
    next.state = State::ready;
    next.has_timed_out = true;
    next.clock = next.wakes_at;
  }
  if (core == core_) return;
  Core& self = cores_[std::exchange(core_, core)];
  self.context->switch_to(*next.context);
}

}  // namespace lines
