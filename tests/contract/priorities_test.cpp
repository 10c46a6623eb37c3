// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"

using procpool::Future;
using procpool::Priority;
using procpool::ProcessPool;
using support::OpensAtEnd;
using support::Shared;
using support::SharedGate;

namespace {

/// The order in which tasks began.
struct Record {
  std::atomic<std::size_t> count{0};
  std::array<std::atomic<char>, 256> names{};

  void write(char name) { names.at(count++) = name; }
  [[nodiscard]] std::string text() const {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += names.at(i);
    return all;
  }
};

}  // namespace

TEST_CASE("a task of higher priority is taken before those that wait longer") {
  const Shared<Record> record;
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  const auto write = [record = record.get()](char name) { record->write(name); };
  for (int i = 0; i < 2; ++i) {
    static_cast<void>(pool.with({.priority = Priority::low}).submit(write, 'l'));
    static_cast<void>(pool.submit(write, 'n'));
    static_cast<void>(pool.with({.priority = Priority::high}).submit(write, 'h'));
  }
  gate->open();
  pool.wait_idle();
  CHECK(record->text() == "hhnnll");
}

TEST_CASE("tasks of one priority begin in the order in which they were submitted") {
  const Shared<Record> record;
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  const std::string letters = "abcdefghijklmnopqrstuvwxyz";
  for (const char letter : letters) {
    static_cast<void>(pool.submit([record = record.get()](char name) { record->write(name); }, letter));
  }
  gate->open();
  pool.wait_idle();
  CHECK(record->text() == letters);
}

TEST_CASE("a task of low priority has its turn while higher ones keep coming") {
  const Shared<Record> record;
  const SharedGate gate;
  ProcessPool pool{1};
  const OpensAtEnd opens(gate);
  auto held = pool.submit([gate = gate.get()] { gate->pass(); });
  REQUIRE(gate->is_reached_by(1));
  const auto write = [record = record.get()](char name) { record->write(name); };
  static_cast<void>(pool.with({.priority = Priority::low}).submit(write, 'l'));
  for (int i = 0; i < 200; ++i) static_cast<void>(pool.with({.priority = Priority::high}).submit(write, 'h'));
  gate->open();
  pool.wait_idle();
  CHECK(record->text().find('l') < 100);
}

TEST_CASE("every verb runs on every priority") {
  ProcessPool pool{2};
  for (const Priority priority : {Priority::low, Priority::normal, Priority::high}) {
    const auto terms = pool.with({.priority = priority});
    const std::vector<int> items(100, 1);
    const auto same = [](int x) { return x; };
    CHECK(terms.submit(same, 1).get() == 1);
    CHECK(terms.map(same, items) == items);
    CHECK(terms.map_async(same, items).get() == items);
    CHECK(std::ranges::distance(terms.imap(same, items)) == 100);
  }
}
