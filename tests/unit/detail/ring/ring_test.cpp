// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>

#include <procpool/detail/ring/ring.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::Cell;
using procpool::detail::Handle;
using procpool::detail::Ring;
using procpool::detail::ticket_bits;
using procpool::detail::ticket_mask;

namespace {

/// A ring with its shared words.
template <std::size_t Capacity>
struct RingInMemory {
  Ring::Word head{0};
  std::array<Ring::Word, 64> cells{};
  Ring ring;

  RingInMemory() : ring(head, cells.data(), Capacity) {}
  /// As if it had been in use for `first` positions.
  explicit RingInMemory(std::uint64_t first) : ring(head, cells.data(), Capacity, first) {
    const std::uint64_t lap = Ring::cells_for(Capacity);
    for (std::uint64_t p = first - lap; p != first; ++p) cells[p % lap].store(Cell(p, 0).bits);
  }

  /// Takes the oldest task, as a worker does.
  std::optional<Handle> take() {
    const std::uint64_t position = ring.head();
    const std::optional<Cell> cell = ring.peek(position);
    if (!cell) return std::nullopt;
    ring.pass(position);
    return cell->handle();
  }
};

}  // namespace

TEST_CASE("a cell holds its position modulo 2^40 and its handle") {
  const std::uint64_t position = (std::uint64_t{1} << ticket_bits) + 12345;
  const Cell cell(position, 0xABCDEF);
  CHECK(cell.handle() == 0xABCDEF);
  CHECK(cell.ticket() == 12345);
  CHECK(cell.distance_from(position) == 0);
  CHECK(cell.distance_from(position + 1) == -1);
  CHECK(cell.distance_from(position - 1) == 1);
  CHECK(Cell(ticket_mask, 7).distance_from(ticket_mask + 1) == -1);
  CHECK(Cell(ticket_mask + 1, 7).distance_from(ticket_mask) == 1);
}

TEST_CASE("an empty ring shows nothing, and a full one says so") {
  RingInMemory<3> memory;
  Ring& ring = memory.ring;
  CHECK(ring.capacity() == 3);
  CHECK_FALSE(memory.take());
  for (Handle handle = 1; handle <= 3; ++handle) {
    CHECK_FALSE(ring.was_full());
    ring.publish(handle);
  }
  CHECK(ring.was_full());
  CHECK(ring.was_size() == 3);
  CHECK(memory.take() == Handle{1});
  CHECK_FALSE(ring.was_full());
  CHECK(ring.was_size() == 2);
}

TEST_CASE("a ring is first in, first out over many laps, also where the 40 bits of a ticket begin anew") {
  for (const std::uint64_t first : {std::uint64_t{64}, ticket_mask - 50, ticket_mask + 1, (ticket_mask << 1) - 9}) {
    RingInMemory<5> memory(first);
    Ring& ring = memory.ring;
    std::mt19937 random(static_cast<unsigned>(first));
    std::deque<Handle> model;
    Handle next = 0;
    for (int step = 0; step < 2000; ++step) {
      if (random() % 2 == 0 && !ring.was_full()) {
        ring.publish(next);
        model.push_back(next++);
      } else {
        const std::optional<Handle> taken = memory.take();
        const std::optional<Handle> expected = model.empty() ? std::nullopt : std::optional(model.front());
        if (taken != expected) FAIL("first position " << first << ", step " << step);
        if (taken) model.pop_front();
      }
      if (ring.was_full() != (model.size() == 5) || ring.was_size() != model.size()) FAIL("step " << step);
    }
  }
  SUCCEED();
}

TEST_CASE("a ring of one cell works") {
  RingInMemory<1> memory;
  for (Handle handle = 0; handle < 20; ++handle) {
    memory.ring.publish(handle);
    CHECK(memory.ring.was_full());
    CHECK(memory.take() == handle);
  }
}

TEST_CASE("a late pass never moves the head back") {
  RingInMemory<8> memory;
  Ring& ring = memory.ring;
  const std::uint64_t first = ring.head();
  for (Handle handle = 0; handle < 5; ++handle) ring.publish(handle);
  ring.pass(first);
  ring.pass(first + 3);
  CHECK(ring.head() == first + 4);
  ring.pass(first + 1);
  ring.pass(first);
  CHECK(ring.head() == first + 4);
}

TEST_CASE("a reader whose position was lapped is told so, and not shown the later task") {
  RingInMemory<4> memory;
  Ring& ring = memory.ring;
  const std::uint64_t stale = ring.head();
  for (Handle handle = 0; handle < 4; ++handle) ring.publish(handle);
  CHECK(ring.peek(stale));
  CHECK_FALSE(ring.was_lapped(stale));
  while (memory.take()) {
  }
  CHECK(ring.peek(stale));  // A dead cell: its slot tells.
  ring.publish(4);
  CHECK_FALSE(ring.peek(stale));
  CHECK(ring.was_lapped(stale));
  CHECK_FALSE(ring.was_lapped(stale + 1));
  CHECK_FALSE(ring.was_lapped(stale + 5));
}

TEST_CASE("a position counts as published once its cell is there") {
  RingInMemory<4> memory;
  Ring& ring = memory.ring;
  const std::uint64_t position = ring.next_position();
  CHECK_FALSE(ring.was_published(position));
  ring.publish(9);
  CHECK(ring.was_published(position));
  CHECK_FALSE(ring.was_published(position + 1));
}

TEST_CASE("a ring leads to a task from when it is published until the head has passed it or its cell is ruined") {
  RingInMemory<4> memory;
  Ring& ring = memory.ring;
  const std::uint64_t position = ring.next_position();
  const Cell cell(position, 9);
  CHECK_FALSE(ring.leads_to(cell));
  ring.publish(9);
  CHECK(ring.leads_to(cell));
  CHECK_FALSE(ring.leads_to(Cell(position, 8)));
  CHECK_FALSE(ring.leads_to(Cell(position + 1, 9)));
  SECTION("passed") {
    ring.pass(position);
    CHECK_FALSE(ring.leads_to(cell));
  }
  SECTION("ruined") {
    memory.cells[position % 4].store(0x123456);
    CHECK_FALSE(ring.leads_to(cell));
  }
}

TEST_CASE("a head that was ruined is put back so that no waiting task is lost") {
  for (const std::uint64_t wild : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}, std::uint64_t{1} << 63,
                                   std::uint64_t{1000}, std::uint64_t{100}}) {
    RingInMemory<8> memory(50);
    Ring& ring = memory.ring;
    for (Handle handle = 0; handle < 20; ++handle) {
      ring.publish(handle);
      if (handle < 15) memory.take();
    }
    const std::uint64_t oldest = ring.head();
    REQUIRE_FALSE(ring.mend_head());
    memory.head.store(wild);
    CHECK(ring.mend_head());
    CHECK(ring.head() <= oldest);
    CHECK(ring.head() + 8 >= ring.next_position());
    CHECK_FALSE(ring.mend_head());
    for (Handle handle = 15; handle < 20; ++handle) CHECK(ring.leads_to(Cell(oldest + handle - 15, handle)));
  }
}

TEST_CASE("a head that was ruined to lie just beyond the tail does not leave a ring full for ever") {
  RingInMemory<8> memory(50);
  Ring& ring = memory.ring;
  for (Handle handle = 0; handle < 3; ++handle) ring.publish(handle);
  memory.head.store(ring.next_position() + 1);
  CHECK_FALSE(ring.mend_head());  // It may be that a cell is just being published, for all that others know.
  CHECK(ring.was_full());
  CHECK(ring.head() <= ring.next_position());
  for (int dead = 0; dead < 5; ++dead) ring.pass(ring.head());  // as the walk does
  CHECK_FALSE(ring.was_full());
  CHECK(memory.take() == Handle{0});
}
