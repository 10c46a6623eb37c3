// SPDX-License-Identifier: BSL-1.0

#include "run.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

#include "doorbells.hpp"
#include "mutexes.hpp"

extern "C" const char __executable_start;  // by the linker

namespace model {

namespace {

constexpr std::int64_t time_of_a_step = 10;                // nanoseconds
constexpr std::uint64_t longest_turn_by_priority = 2'000;  // steps: who spins gives way in the end

bool is_traced = false;

}  // namespace

Run::Run(std::uint64_t seed, const Manner& manner) : manner_(manner), random_(seed * 0x2545F4914F6CDD1D + 1) {
  constexpr std::uint64_t switches[] = {0, 0, 2, 4, 12, 40};
  constexpr std::uint64_t drains[] = {2, 6, 30};
  constexpr std::uint64_t strikes[] = {40, 150, 600, 2000};
  constexpr std::uint64_t hurries[] = {0, 0, 300, 2000};
  constexpr std::uint64_t horizons[] = {200, 1000, 5000};
  switch_each_ = switches[random_.below(std::size(switches))];
  drain_each_ = drains[random_.below(std::size(drains))];
  strike_each_ = strikes[random_.below(std::size(strikes))];
  hurry_each_ = hurries[random_.below(std::size(hurries))];
  const std::uint64_t horizon = horizons[random_.below(std::size(horizons))];
  for (std::uint64_t left = random_.below(8); left > 0; --left) change_points_.push_back(random_.below(horizon));
  fibers_.reserve(Stacks::most);
  Mutexes::forget_all();
  Doorbells::forget_all();
}

void Run::trace_from_now_on(bool is_wanted) noexcept { is_traced = is_wanted; }

Run::~Run() { current_ = nullptr; }

std::string Run::operator()(std::function<void()> user) {
  self_ = &start("user", std::move(user));
  current_ = this;
  base_.switch_to(self_->context);
  current_ = nullptr;
  return failure_;
}

Fiber& Run::start(std::string name, std::function<void()> body, bool is_mortal, std::function<void(bool)> when_ended) {
  const std::size_t index = fibers_.size();
  if (index == Stacks::most) fail("too many fibers");
  Fiber& fiber = *fibers_.emplace_back(std::make_unique<Fiber>());
  fiber.name = std::move(name);
  fiber.is_mortal = is_mortal;
  fiber.when_ended = std::move(when_ended);
  fiber.priority = static_cast<std::int64_t>(random_.below(1'000'000)) + 1;
  fiber.context.prepare(Stacks::of(index), Stacks::size - 4096, [this, &fiber, run = std::move(body)] {
    try {
      run();
    } catch (const std::exception& error) {
      fail(fiber.name + " threw: " + error.what());
    }
    point("end", nullptr, nullptr);
    fiber.stores.drain_all();
    if (&fiber == fibers_.front().get()) {  // The scenario is over.
      current_ = nullptr;
      fiber.context.switch_to(base_);
    }
    fiber.state = Fiber::State::ended;
    wake(&fiber, UINT64_MAX);
    if (fiber.when_ended) fiber.when_ended(false);
    go_on();
  });
  must_choose_ = true;
  return fiber;
}

void Run::join(Fiber& fiber) {
  point("join", nullptr, nullptr);
  while (fiber.state != Fiber::State::ended) sleep_on(&fiber, -1);
}

/// What the processor still held of its stores is written, as when a process ends between two instructions.
void Run::kill(Fiber& fiber) {
  if (fiber.state == Fiber::State::ended) return;
  if (is_traced) trace("dies", &fiber, nullptr);
  ++deaths_;
  fiber.stores.drain_all();
  fiber.state = Fiber::State::ended;
  Mutexes::bury(fiber);
  wake(&fiber, UINT64_MAX);
  if (fiber.when_ended) fiber.when_ended(true);
  if (&fiber == self_) go_on();
}

void Run::end_deaths_and_stops() noexcept {
  manner_.most_deaths = manner_.most_stops = 0;
  for (const auto& fiber : fibers_) fiber->stands_until = 0;
}

void Run::fail(const std::string& why) {
  failure_ = why;
  if (is_traced) trace("fails", nullptr, nullptr);
  current_ = nullptr;
  self_->context.switch_to(base_);
  std::abort();
}

void Run::point(const char* step, const volatile void* address, const void* caller) {
  if (is_one_step_) return;
  ++steps_in_turn_;
  if (++steps_ > manner_.most_steps) fail("no end is in sight");
  trail_ = (trail_ ^ (static_cast<std::uint64_t>(self_->priority) + static_cast<unsigned char>(*step))) * 0x100000001B3;
  if (is_traced) trace(step, address, caller);
  now_ += time_of_a_step;
  if (manner_.sleeps_end && random_.once_in(hurry_each_) && next_event_ != never) now_ = std::max(now_, next_event_);
  if (now_ >= next_event_) wake_who_is_due();
  drain_something();
  strike();
  bool must_choose = std::exchange(must_choose_, false);
  if (switch_each_ != 0) must_choose = random_.once_in(switch_each_);
  else if (std::find(change_points_.begin(), change_points_.end(), steps_) != change_points_.end() ||
           steps_in_turn_ > longest_turn_by_priority) {
    self_->priority = --lowest_priority_;
    must_choose = true;
  }
  if (must_choose || !is_runnable(*self_)) go_on();
}

void Run::store(volatile void* address, std::uint64_t value, std::size_t size, Order order) {
  self_->stores.add(address, value, size, order);
  if (!manner_.stores_wait || Stacks::contain(address)) self_->stores.drain_all();
}

void Run::release(volatile void* address, void (*write)(volatile void* address)) {
  self_->stores.add(address, write);
  if (!manner_.stores_wait) self_->stores.drain_all();
}

void Run::yield() {
  self_->priority = --lowest_priority_;
  must_choose_ = true;
}

void Run::drain_something() {
  if (random_.once_in(drain_each_)) self_->stores.drain_some(random_.next());
  if (!random_.once_in(4 * drain_each_)) return;
  fibers_[random_.below(fibers_.size())]->stores.drain_some(random_.next());
}

/// A death or a stop, mostly of the fiber that runs.
void Run::strike() {
  if (manner_.most_deaths + manner_.most_stops == 0 || !random_.once_in(strike_each_)) return;
  Fiber& victim = self_->is_mortal && !random_.once_in(4) ? *self_ : *fibers_[random_.below(fibers_.size())];
  if (!victim.is_mortal || victim.state == Fiber::State::ended) return;
  if (manner_.most_deaths > 0 && (manner_.most_stops == 0 || random_.once_in(2))) {
    --manner_.most_deaths;
    kill(victim);
  } else if (manner_.most_stops > 0) {
    --manner_.most_stops;
    if (is_traced) trace("stops", &victim, nullptr);
    victim.stores.drain_all();
    victim.stands_until =
        now_ + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(manner_.longest_stop)));
    next_event_ = std::min(next_event_, victim.stands_until);
  }
}

bool Run::sleep_on(const volatile void* bed, std::int64_t timeout) {
  Fiber& fiber = *self_;
  fiber.stores.drain_all();
  fiber.state = Fiber::State::asleep;
  fiber.bed = bed;
  fiber.has_timed_out = false;
  fiber.wakes_at = timeout < 0 || !manner_.sleeps_end ? never : now_ + timeout;
  next_event_ = std::min(next_event_, fiber.wakes_at);
  go_on();
  return !fiber.has_timed_out;
}

int Run::wake(const volatile void* bed, std::uint64_t most) {
  int woken = 0;
  for (const auto& fiber : fibers_) {
    if (most == 0 || fiber->state != Fiber::State::asleep || fiber->bed != bed) continue;
    fiber->state = Fiber::State::ready;
    --most;
    ++woken;
  }
  must_choose_ |= woken != 0;
  return woken;
}

/// Returns when it is the turn of the fiber that calls it, which may have to sleep until then.
void Run::go_on() {
  steps_in_turn_ = 0;
  Fiber* next = choose();
  while (next == nullptr) {
    let_time_pass();
    next = choose();
  }
  if (next != self_) switch_to(*next);
}

void Run::switch_to(Fiber& next) {
  Fiber& before = *self_;
  self_ = &next;
  before.context.switch_to(next.context);
}

Fiber* Run::choose() {
  Fiber* chosen = nullptr;
  std::uint64_t candidates = 0;
  for (const auto& fiber : fibers_) {
    if (!is_runnable(*fiber)) continue;
    ++candidates;
    const bool is_better =
        switch_each_ != 0 ? random_.below(candidates) == 0 : chosen == nullptr || fiber->priority > chosen->priority;
    if (is_better) chosen = fiber.get();
  }
  return chosen;
}

/// Nobody can go on now: it is later.
void Run::let_time_pass() {
  next_event_ = next_event();
  if (next_event_ == never) fail_asleep();
  now_ = std::max(now_, next_event_);
  wake_who_is_due();
}

void Run::wake_who_is_due() {
  for (const auto& fiber : fibers_) {
    if (fiber->state != Fiber::State::asleep || fiber->wakes_at > now_) continue;
    fiber->state = Fiber::State::ready;
    fiber->has_timed_out = true;
  }
  must_choose_ = true;
  next_event_ = next_event();
}

/// When somebody's sleep or stop ends.
std::int64_t Run::next_event() const noexcept {
  std::int64_t next = never;
  for (const auto& fiber : fibers_) {
    if (fiber->state == Fiber::State::ended) continue;
    if (fiber->state == Fiber::State::asleep) next = std::min(next, fiber->wakes_at);
    if (fiber->stands_until > now_) next = std::min(next, fiber->stands_until);
  }
  return next;
}

void Run::fail_asleep() {
  std::string who;
  for (const auto& fiber : fibers_) {
    if (fiber->state == Fiber::State::asleep) who += (who.empty() ? "" : ", ") + fiber->name;
  }
  fail("a wake-up is missing: asleep for ever are " + who);
}

void Run::trace(const char* step, const volatile void* address, const void* caller) const {
  const auto offset = caller == nullptr ? 0 : static_cast<const char*>(caller) - &__executable_start;
  std::fprintf(stderr, "%6llu %-12s %-14s %p (%#x) from %#zx\n", static_cast<unsigned long long>(steps_),
               self_ == nullptr ? "" : self_->name.c_str(), step, const_cast<const void*>(address),
               address == nullptr ? 0U : *static_cast<const volatile unsigned*>(address),
               static_cast<std::size_t>(offset));
}

}  // namespace model
