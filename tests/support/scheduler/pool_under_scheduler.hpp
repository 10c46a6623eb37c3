// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A whole pool in one run: the library's own core, supervisor and workers; only the zygote is played.

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <procpool/detail/pool/pool_core.hpp>
#include <procpool/detail/pool/worker.hpp>

#include "doorbells.hpp"
#include "run.hpp"

namespace model {

namespace detail = procpool::detail;

/// As detail::Zygote, but workers are fibers.
class PlayedZygote {
 public:
  PlayedZygote(Run& run, detail::Exchange& exchange, detail::PoolLayout& layout, int max_tasks, std::size_t min_workers)
      : run_(run), exchange_(exchange), layout_(layout), max_tasks_(max_tasks), min_workers_(min_workers),
        workers_(layout.most_workers()) {}

  void live();

  /// It was killed: the kernel closes its socket, and kills its workers one after the other.
  void leave_to_the_kernel() {
    Doorbells::hang_up();
    kernel_ = &run_.start("kernel", [this] {
      for (std::size_t index = 0; index < workers_.size(); ++index) {
        if (workers_[index] == nullptr) continue;
        run_.point("signal", nullptr, nullptr);
        kill_worker(index);
      }
    });
  }
  /// What ends its workers, if it was killed; null if not.
  [[nodiscard]] Fiber* kernel() const noexcept { return kernel_; }

  /// The fiber of a worker that lives; null if none does.
  [[nodiscard]] const Fiber* worker(std::size_t index) const noexcept { return workers_[index]; }

 private:
  struct Death {
    std::size_t index;
    int status;  // of wait(2)
  };

  [[nodiscard]] bool must_leave() const;
  void fork_wanted();
  void be_worker(std::size_t index, detail::Life life) const;
  void kill_condemned();
  void kill_worker(std::size_t index) {
    if (workers_[index] != nullptr) run_.kill(*workers_[index]);
  }
  void reap();

  Run& run_;
  detail::Exchange& exchange_;
  detail::PoolLayout& layout_;
  int max_tasks_;
  std::size_t min_workers_;
  std::vector<Fiber*> workers_;  // by index; null: none lives
  std::vector<Death> deaths_;    // not yet reaped
  Fiber* kernel_ = nullptr;
};

inline bool PlayedZygote::must_leave() const {
  const bool has_workers =
      std::any_of(workers_.begin(), workers_.end(), [](Fiber* worker) { return worker != nullptr; });
  return layout_.words().is_killed.load(std::memory_order_acquire) != 0 ||
         (layout_.words().is_stopping.load(std::memory_order_acquire) != 0 && !has_workers);
}

inline void PlayedZygote::live() {
  while (!must_leave()) {
    fork_wanted();
    Doorbells::wait_for_a_ring();
    kill_condemned();
    reap();
  }
  for (std::size_t index = 0; index < workers_.size(); ++index) kill_worker(index);
  reap();
  Doorbells::hang_up();
}

inline void PlayedZygote::fork_wanted() {
  for (std::size_t index = 0; index < layout_.workers(); ++index) {
    detail::LifeRegister& lives = layout_.lives(index);
    const detail::Life wanted = lives.wanted.load(std::memory_order_acquire);
    if (workers_[index] != nullptr || wanted <= lives.born.load(std::memory_order_relaxed)) continue;
    workers_[index] = &run_.start(
        "worker " + std::to_string(index) + "." + std::to_string(wanted), [=, this] { be_worker(index, wanted); }, true,
        [=, this](bool was_killed) {
          deaths_.push_back({index, was_killed ? SIGKILL : 0});
          Doorbells::ring_zygote();
        });
    lives.pid.store(static_cast<std::int32_t>(wanted), std::memory_order_relaxed);
    lives.born.store(wanted, std::memory_order_release);
    Doorbells::ring_supervisor();
  }
}

inline void PlayedZygote::be_worker(std::size_t index, detail::Life life) const {
  detail::Row& row = layout_.row(index);
  row.ready.store(life, std::memory_order_relaxed);
  detail::WorkerSelf self;
  self.index = static_cast<detail::WorkerIndex>(index);
  self.retries = &row.retries;
  int left = max_tasks_;
  const bool retires = min_workers_ != 0 && index >= min_workers_;
  const auto is_worn = [&] { return max_tasks_ > 0 && --left == 0; };
  detail::Worker(exchange_, layout_, self.index, life).serve(self, is_worn, retires);
}

inline void PlayedZygote::kill_condemned() {
  for (std::size_t index = 0; index < layout_.workers(); ++index) {
    const detail::LifeRegister& lives = layout_.lives(index);
    const detail::Life condemned = lives.condemned.load(std::memory_order_relaxed);
    if (condemned == lives.born.load(std::memory_order_relaxed)) kill_worker(index);
  }
}

inline void PlayedZygote::reap() {
  for (const Death& death : std::exchange(deaths_, {})) {
    workers_[death.index] = nullptr;
    detail::LifeRegister& lives = layout_.lives(death.index);
    lives.status.store(death.status, std::memory_order_relaxed);
    lives.dead.store(lives.born.load(std::memory_order_relaxed), std::memory_order_release);
    Doorbells::ring_supervisor();
  }
}

/// How long workers look for work before they sleep: not at all, or until the first look at the clock.
inline std::chrono::nanoseconds some_spin(Run& run) {
  return std::chrono::nanoseconds(run.random().once_in(4) ? 1 : 0);
}

struct PoolShape {
  std::size_t workers = 2;
  std::size_t queue_capacity = 4;
  int max_tasks = 0;            // per worker; 0: never recycled
  std::size_t min_workers = 0;  // those with an index from there on retire; 0: none does
  bool zygote_is_mortal = false;
  std::size_t queue_bytes = 0;
  std::size_t cpus = SIZE_MAX;  // with more workers awake than that, nobody spins
};

class PoolUnderScheduler {
 public:
  PoolUnderScheduler(Run& run, const PoolShape& shape, std::chrono::nanoseconds spin)
      : run_(run), storage_(std::make_unique<Storage>()),
        core_(::new(storage_->bytes) detail::PoolCore({.workers = shape.workers,
                                                       .queue_capacity = shape.queue_capacity,
                                                       .queue_bytes = shape.queue_bytes,
                                                       .shared_memory = std::size_t{16} << 20,
                                                       .spin = {spin, shape.cpus}},
                                                      program_of(shape))),
        zygote_(run, core_->exchange(), core_->layout(), shape.max_tasks, shape.min_workers),
        zygote_fiber_(run.start(
            "zygote", [this] { zygote_.live(); }, shape.zygote_is_mortal,
            [this](bool was_killed) {
              if (was_killed) zygote_.leave_to_the_kernel();
            })) {
    run.share(core_->exchange().mapping.begin(), core_->exchange().mapping.size());
  }
  PoolUnderScheduler(const PoolUnderScheduler&) = delete;
  PoolUnderScheduler& operator=(const PoolUnderScheduler&) = delete;
  /// As the pool's own: what was submitted is finished first. Then nothing may be left of it.
  ~PoolUnderScheduler() {
    detail::Exchange& exchange = core_->exchange();
    exchange.retain();
    core_->~PoolCore();
    run_.join(zygote_fiber_);
    if (zygote_.kernel() != nullptr) run_.join(*zygote_.kernel());
    demand_no_slot_left(exchange);
    if (!exchange.reason_of_break()) demand_no_block_left(exchange);
    exchange.release();
  }

  [[nodiscard]] detail::PoolCore& core() noexcept { return *core_; }
  [[nodiscard]] PlayedZygote& zygote() noexcept { return zygote_; }

  /// Queues a call of `run`, which finds `argument` in its record.
  template <class T>
  [[nodiscard]] detail::ResultHandle submit(detail::TaskFunction run, const T& argument,
                                            detail::RingName ring = detail::RingName::normal,
                                            std::unique_ptr<detail::TaskNote> note = nullptr) {
    detail::ResultHandle handle = *core_->enqueue(ring, record_of(run, argument), std::move(note), true);
    demand(run_.in_one_step([&] { return has_kept_capacity(core_->layout().ring(ring).ring); }), "a ring is overfull");
    return handle;
  }
  /// The same for one worker alone.
  template <class T>
  [[nodiscard]] detail::ResultHandle post(std::size_t worker, detail::TaskFunction run, const T& argument) {
    return core_->post(worker, record_of(run, argument), nullptr);
  }

 private:
  [[nodiscard]] static bool has_kept_capacity(const detail::Ring& ring) {
    return static_cast<std::int64_t>(ring.next_position() - ring.head()) <= static_cast<std::int64_t>(ring.capacity());
  }

  // Workers that are yet to be killed outlive the core: what they read of it stands for their own copies.
  struct Storage {
    alignas(detail::PoolCore) std::byte bytes[sizeof(detail::PoolCore)];
  };

  [[nodiscard]] static detail::WorkerProgram program_of(const PoolShape& shape) {
    detail::WorkerProgram program;
    program.min_workers = shape.min_workers;
    return program;
  }

  template <class T>
  [[nodiscard]] static detail::TaskRecord record_of(detail::TaskFunction run, const T& argument) {
    static_assert(sizeof(T) <= detail::TaskRecord::inline_capacity);
    detail::TaskRecord record;
    record.run = run;
    record.size = sizeof argument;
    std::memcpy(record.arguments, &argument, sizeof argument);
    return record;
  }

  static void demand_no_slot_left(const detail::Exchange& exchange) {
    for (detail::Handle handle = 0; handle < exchange.slots.was_used(); ++handle) {
      demand(!exchange.slots.was_in_use(handle), "a slot is still in use when all has ended");
    }
  }
  static void demand_no_block_left(const detail::Exchange& exchange) {
    for (std::size_t i = 0; i < exchange.outbox.count(); ++i) {
      const detail::Extent& extent = exchange.outbox.extent(i);
      demand(extent.owner.load() == 0 && extent.was_empty(), "a block of a result is left when all has ended");
    }
  }

  Run& run_;
  std::unique_ptr<Storage> storage_;
  detail::PoolCore* core_;
  PlayedZygote zygote_;
  Fiber& zygote_fiber_;
};

}  // namespace model
