// SPDX-License-Identifier: BSL-1.0

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

#include <procpool/detail/task/exchange.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/pool_without_processes.hpp"

using procpool::detail::Exchange;
using procpool::detail::Handle;
using procpool::detail::KeptBlocks;
using procpool::detail::Phase;
using procpool::detail::SharedBlock;
using procpool::detail::StateWord;
using procpool::detail::TaskNote;
using support::PoolWithoutProcesses;

namespace {

/// A slot in that phase, without a future.
Handle slot_in(Exchange& exchange, Phase phase) {
  const std::lock_guard lock(exchange.submit_mutex);
  const Handle handle = exchange.slots.allocate().value();
  exchange.retain();
  exchange.slots[handle].store(StateWord::queued(1).with_phase(phase));
  return handle;
}

}  // namespace

TEST_CASE("a task that ends while its future is dropped is freed there: perhaps nobody sweeps any more") {
  PoolWithoutProcesses pool(1);
  const Handle handle = slot_in(pool.exchange(), Phase::cancelled);
  pool.exchange().abandon(handle);  // by who saw it run a moment ago
  CHECK(pool.exchange().abandoned().count() == 0);
  CHECK_FALSE(pool.exchange().slots.was_in_use(handle));
}

TEST_CASE("a task whose future was dropped is freed by the first sweep after its end") {
  PoolWithoutProcesses pool(1);
  const Handle handle = slot_in(pool.exchange(), Phase::running);
  pool.exchange().abandon(handle);
  pool.exchange().sweep(1);
  CHECK(pool.exchange().abandoned().count() == 1);
  CHECK(pool.exchange().slots.was_in_use(handle));
  pool.exchange().slots[handle].store(StateWord::queued(1).with_phase(Phase::done));
  pool.exchange().sweep(1);
  CHECK(pool.exchange().abandoned().count() == 0);
  CHECK_FALSE(pool.exchange().slots.was_in_use(handle));
}

TEST_CASE("the memory of an array comes back with a task that nobody waits for, if nobody else has the array") {
  PoolWithoutProcesses pool(1);
  Exchange& exchange = pool.exchange();
  const std::size_t all = exchange.data.region().size();
  auto array = std::make_shared<const SharedBlock>(exchange.data, all);
  auto kept = std::make_shared<KeptBlocks>();
  kept->add(array);
  auto note = std::make_unique<TaskNote>();
  note->kept = std::move(kept);
  const Handle handle = slot_in(exchange, Phase::running);
  exchange.slots.set_note(handle, std::move(note));
  exchange.abandon(handle);
  CHECK_FALSE(exchange.abandoned().will_make_room(exchange.data, all));
  array.reset();
  CHECK(exchange.abandoned().will_make_room(exchange.data, all));
  CHECK(exchange.data.was_in_use() == all);
  exchange.slots[handle].store(StateWord::queued(1).with_phase(Phase::done));
  exchange.sweep(1);
  CHECK(exchange.data.was_in_use() == 0);
  CHECK_FALSE(exchange.abandoned().will_make_room(exchange.data, all));
}
