// SPDX-License-Identifier: BSL-1.0

#include <sys/resource.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include <procpool/detail/result/slot_table.hpp>

#include "../../../support/address_space.hpp"
#include "../../../support/catch.hpp"
#include "../../../support/in_child.hpp"
#include "../../../support/leftovers.hpp"

using procpool::detail::Handle;
using procpool::detail::SharedMapping;
using procpool::detail::Slot;
using procpool::detail::SlotTable;
using procpool::detail::TaskNote;

namespace {

struct Table {
  static constexpr std::size_t capacity = 100;
  SharedMapping mapping{std::size_t{1} << 20};
  SlotTable slots{mapping, mapping.begin(), capacity};
};

}  // namespace

TEST_CASE("a slot table gives each slot out once, says when all are in use, and takes them back") {
  Table table;
  for (int round = 0; round < 3; ++round) {
    std::set<Handle> handles;
    while (const std::optional<Handle> handle = table.slots.allocate()) handles.insert(*handle);
    CHECK(handles.size() == Table::capacity);
    CHECK(table.slots.was_used() == Table::capacity);
    for (const Handle handle : handles) table.slots.release(handle);
  }
}

TEST_CASE("a slot that came back is used before a fresh one") {
  Table table;
  const Handle first = *table.slots.allocate();
  const Handle second = *table.slots.allocate();
  table.slots.release(first);
  CHECK(*table.slots.allocate() == first);
  CHECK(table.slots.was_used() == 2);
  CHECK(table.slots.contains(second));
  CHECK_FALSE(table.slots.contains(2));
}

TEST_CASE("a slot has a note only while it is in use, whatever list it is in afterwards") {
  Table table;
  std::vector<Handle> handles;
  for (int i = 0; i < 5; ++i) handles.push_back(*table.slots.allocate());
  for (const Handle handle : handles) {
    CHECK(table.slots.was_in_use(handle));
    CHECK(table.slots.note(handle) == nullptr);
    table.slots.make_note(handle).label = "a label";
    CHECK(&table.slots.make_note(handle) == table.slots.note(handle));
  }
  for (const Handle handle : handles) {
    table.slots.release(handle);
    CHECK_FALSE(table.slots.was_in_use(handle));
    CHECK(table.slots.note(handle) == nullptr);
  }
  for (std::size_t i = 0; i < handles.size(); ++i) {
    const Handle again = *table.slots.allocate();
    CHECK(table.slots.was_in_use(again));
    CHECK(table.slots.note(again) == nullptr);
    for (const Handle handle : handles) CHECK(table.slots.note(handle) == nullptr);
  }
}

TEST_CASE("a note that was set goes with its slot") {
  Table table;
  const Handle handle = *table.slots.allocate();
  const auto callable = std::make_shared<procpool::detail::SharedBlock>();
  auto note = std::make_unique<TaskNote>();
  note->callable = callable;
  table.slots.set_note(handle, std::move(note));
  CHECK(callable.use_count() == 2);
  SECTION("released") { table.slots.release(handle); }
  SECTION("retired") { table.slots.retire(handle); }
  CHECK(callable.use_count() == 1);
}

TEST_CASE("of a local task's end and the going of its future, the second is told that the slot is its to free") {
  Table table;
  for (const bool ends_first : {true, false}) {
    const Handle handle = *table.slots.allocate();
    CHECK_FALSE(table.slots.is_local(handle));
    auto note = std::make_unique<TaskNote>();
    const TaskNote* const address = note.get();
    table.slots.set_local_note(handle, std::move(note));
    CHECK(table.slots.is_local(handle));
    CHECK_FALSE(table.slots.has_ended_locally(handle));
    CHECK_FALSE(table.slots.leave_local(handle, ends_first));
    CHECK(table.slots.has_ended_locally(handle) == ends_first);
    CHECK(table.slots.leave_local(handle, !ends_first));
    CHECK(table.slots.has_ended_locally(handle));
    CHECK(table.slots.note(handle) == address);
    CHECK(&table.slots.make_note(handle) == address);
    table.slots.release(handle);
    CHECK_FALSE(table.slots.is_local(handle));
    CHECK_FALSE(table.slots.has_ended_locally(handle));
  }
}

TEST_CASE("a retired slot never comes again") {
  Table table;
  const Handle retired = *table.slots.allocate();
  table.slots.retire(retired);
  CHECK_FALSE(table.slots.was_in_use(retired));
  std::size_t count = 0;
  while (const std::optional<Handle> handle = table.slots.allocate()) {
    CHECK(*handle != retired);
    ++count;
  }
  CHECK(count == Table::capacity - 1);
}

TEST_CASE("a slot table for which the process may not have the memory is refused") {
  if (support::is_sanitized) {
    WARN("a sanitizer ends a process that is refused memory");
    return;
  }
  CHECK(true_in_child([] {
    const SharedMapping mapping(std::size_t{1} << 20);
    constexpr std::size_t slots = std::size_t{1} << 24;
    const rlimit nothing_more{std::size_t{64} << 20, RLIM_INFINITY};  // less than one word for each
    ::setrlimit(RLIMIT_AS, &nothing_more);
    try {
      const SlotTable table(mapping, mapping.begin(), slots);
    } catch (const procpool::SharedMemoryExhausted&) {
      return true;
    }
    return false;
  }));
}
