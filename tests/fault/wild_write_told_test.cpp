// SPDX-License-Identifier: BSL-1.0

#include <signal.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/patience.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace procpool::detail;
using procpool::Future;
using procpool::Outcome;
using procpool::ProcessPool;
using procpool::SerializationError;
using procpool::WorkerDied;

namespace {

constexpr std::chrono::seconds in_time{30};

/// What the task of a vandal writes, and where to.
struct Scrawl {
  std::byte* at = nullptr;
  std::size_t bytes = 0;
  std::array<std::byte, 4096> text{};

  void write() const { std::memcpy(at, text.data(), bytes); }
};

template <class T>
Scrawl scrawl_over(T& place, const std::type_identity_t<T>& value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(Scrawl::text));
  Scrawl scrawl{reinterpret_cast<std::byte*>(&place), sizeof value};
  std::memcpy(scrawl.text.data(), &value, sizeof value);
  return scrawl;
}
template <class T>
Scrawl scrawl_over_all_of(T& place, int byte) {
  static_assert(sizeof(T) <= sizeof(Scrawl::text));
  Scrawl scrawl{reinterpret_cast<std::byte*>(&place), sizeof place};
  scrawl.text.fill(static_cast<std::byte>(byte));
  return scrawl;
}

constexpr int patterns[] = {0x00, 0x01, 0x3C, 0x7F, 0x80, 0xFF};

/// A pool, one of whose tasks writes where it should not.
struct Vandalized {
  support::Shared<Scrawl> scrawl;
  ProcessPool<> pool{procpool::PoolOptions{.workers = 1, .shared_memory = std::size_t{32} << 20}};
  Exchange& exchange = pool.sender().core->exchange();

  /// What has ended when this returns has been written over.
  void write(const Scrawl& what) {
    *scrawl = what;
    pool.submit([scrawl = scrawl.get()] { scrawl->write(); }).get();
  }

  /// The slot of the only task that is there.
  [[nodiscard]] Slot& slot() {
    Slot* found = nullptr;
    for (Handle handle = 0; handle < exchange.slots.was_used(); ++handle) {
      if (exchange.slots.was_in_use(handle)) found = &exchange.slots[handle];
    }
    if (found == nullptr) throw std::logic_error("no task is there");
    return *found;
  }

  /// Sends a task whose result nobody has read yet.
  template <class F>
  auto victim(F task) {
    auto future = pool.with({.label = "victim"}).submit(task);
    if (!future.wait_for(in_time)) throw std::logic_error("the task does not end");
    return future;
  }

  /// The results of a map of four items, in one chunk that has ended and that nobody has read yet.
  template <class F>
  auto mapped(F task) {
    auto results =
        pool.with({.chunk_size = 4, .label = "score"}).imap_unordered_outcomes(task, std::vector{0, 1, 2, 3});
    const auto has_ended = [&] { return slot().load().is_final(); };
    if (!support::eventually(has_ended, in_time)) throw std::logic_error("the chunk does not end");
    return results;
  }
  [[nodiscard]] ChunkHeader& header() {
    const auto handle = static_cast<Handle>(&slot() - &exchange.slots[0]);
    return *reinterpret_cast<ChunkHeader*>(exchange.slots.note(handle)->results.data());
  }
};

/// What is said of something that is damaged; empty if it is not, and any other exception passes.
template <class Read>
std::string damage_told_by(Read read) {
  try {
    static_cast<void>(read());
  } catch (const SerializationError& error) {
    return error.what();
  }
  return "";
}

template <class T>
std::string damage_told_of(Future<T>& future) {
  return damage_told_by([&] { return (future.get(), 0); });
}

/// The same of each item.
template <class Results>
std::vector<std::string> damages_told_by(Results& results) {
  std::vector<std::string> told;
  for (const auto& outcome : results) told.push_back(damage_told_by([&] { return (outcome.value(), 0); }));
  return told;
}

const std::string culprit = "; some worker's task wrote to memory that is not its own";
const std::string wrong_type = "the result of task \"victim\" is not of the type that the task returns" + culprit;
const std::string broken_chunk = "the results of the chunk of items 0 to 3 of task \"score\" are damaged" + culprit;
const std::string of_item[] = {"the result of item 0 of task \"score\" ", "the result of item 1 of task \"score\" ",
                               "the result of item 2 of task \"score\" ", "the result of item 3 of task \"score\" "};

}  // namespace

TEST_CASE("what a task writes over the header of its own result is written over by its worker") {
  for (const int pattern : patterns) {
    INFO("pattern " << pattern);
    Vandalized here;
    *here.scrawl = scrawl_over_all_of(here.exchange.slots[0].result, pattern);
    CHECK(here.pool.submit([scrawl = here.scrawl.get()] { return scrawl->write(), 7; }).get() == 7);
  }
}

TEST_CASE("a result whose header was written over is told as damage of that task, whatever stands there") {
  for (const int pattern : patterns) {
    INFO("pattern " << pattern);
    Vandalized here;
    auto future = here.victim([] { return 7; });
    here.write(scrawl_over_all_of(here.slot().result, pattern));
    CHECK(damage_told_of(future) == wrong_type);
  }
  for (const int pattern : patterns) {
    INFO("pattern " << pattern);
    Vandalized here;
    auto future = here.victim([] { return std::string(5000, 'x'); });
    here.write(scrawl_over_all_of(here.slot().result, pattern));
    CHECK(damage_told_of(future) == wrong_type);
  }
}

TEST_CASE("a result whose header makes a false statement is told as damage of that task") {
  Vandalized here;
  const auto told_if = [&](auto change) {
    auto future = here.victim([] { return std::string(5000, 'x'); });
    ResultHeader header = here.slot().result;
    change(header);
    here.write(scrawl_over(here.slot().result, header));
    return damage_told_of(future);
  };
  const auto has = [](const char* text) { return Catch::Matchers::Contains(text); };
  const std::string outside = "the result of task \"victim\" points outside the memory for results" + culprit;
  CHECK(told_if([](ResultHeader& header) { header.word = 0; }) == outside);
  CHECK(told_if([](ResultHeader& header) { header.word = ~std::uint64_t{0}; }) == outside);
  CHECK(told_if([](ResultHeader& header) { header.word = 0x1234; }) == outside);
  CHECK(told_if([](ResultHeader& header) { header.size = ResultHeader::largest_size; }) == outside);
  CHECK(told_if([](ResultHeader& header) { header.kind = ResultKind::local; }) == wrong_type);
  CHECK(told_if([](ResultHeader& header) { header.kind = ResultKind::none; }) == wrong_type);
  CHECK(told_if([](ResultHeader& header) {
          header = {0, ResultHeader::largest_size, ResultKind::outbox_exhausted};
        }) == "the result of task \"victim\" says that it needs more memory than there are addresses" + culprit);
  const std::string cut = told_if([](ResultHeader& header) { header.size = 100; });
  CHECK_THAT(cut, has("the result of task \"victim\" cannot be read: the bytes of a value are damaged, cut off") &&
                      has("memory that is not its own"));
  const std::string no_exception = told_if([](ResultHeader& header) {
    header.kind = ResultKind::exception;
    header.size = 4;
  });
  CHECK(no_exception == "the exception that ended task \"victim\" arrived damaged" + culprit);
  CHECK(here.pool.submit(support::twice, 21).get() == 42);
}

TEST_CASE("a bool that a wild write has made neither true nor false is told as damage of that task or item") {
  const auto has = [](const std::string& text) { return Catch::Matchers::Contains(text); };
  Vandalized here;
  auto future = here.victim([] { return true; });
  ResultHeader header = here.slot().result;
  header.word = 0x3C;
  here.write(scrawl_over(here.slot().result, header));
  CHECK_THAT(damage_told_of(future), has("the result of task \"victim\" cannot be read: ") && has("neither true"));
  auto results = here.mapped([](int) { return true; });
  auto* const first = reinterpret_cast<unsigned char*>(&here.header() + 1);
  here.write(scrawl_over(first[2], 0x3C));
  const auto told = damages_told_by(results);
  REQUIRE(told.size() == 4);
  for (const std::size_t i : {0U, 1U, 3U}) CHECK(told[i] == "");
  CHECK_THAT(told[2], has(of_item[2] + "cannot be read: ") && has("neither true") && has("memory that is not its own"));
}

TEST_CASE("an exception whose bytes were written over is told as damage of the task that threw it") {
  for (const int pattern : patterns) {
    INFO("pattern " << pattern);
    Vandalized here;
    auto future =
        here.victim([]() -> int { throw std::out_of_range("a text of some length, so that it is no trifle"); });
    auto* const bytes = reinterpret_cast<std::array<std::byte, 48>*>(here.slot().result.word);
    here.write(scrawl_over_all_of(*bytes, pattern));
    const std::string told = damage_told_of(future);
    CHECK(told == "the exception that ended task \"victim\" arrived damaged" + culprit);
  }
  Vandalized here;
  auto future = here.victim([]() -> int { throw std::out_of_range("a text of some length, so that it is no trifle"); });
  auto* const behind_pid = reinterpret_cast<std::array<std::byte, 48>*>(here.slot().result.word + sizeof(std::int64_t));
  const ::pid_t worker = here.pool.run_on_each_worker(support::pid_of_worker).front();
  here.write(scrawl_over_all_of(*behind_pid, 0x3C));
  CHECK_THAT(damage_told_of(future), Catch::Matchers::Contains("process " + std::to_string(worker) +
                                                               " reported that its task \"victim\" threw"));
}

TEST_CASE("a task whose state was written over is told as one whose record was damaged") {
  for (const int pattern : {0x7F, 0xFF}) {
    INFO("pattern " << pattern);
    Vandalized here;
    auto future = here.victim([] { return 7; });
    here.write(scrawl_over_all_of(here.slot().state, pattern));
    CHECK(damage_told_of(future) == "the record of task \"victim\" was damaged" + culprit);
  }
}

TEST_CASE("a worker that ruins its row and dies is told as any other death of its task") {
  for (const int pattern : patterns) {
    for (int part = 0; part < 3; ++part) {
      INFO("pattern " << pattern << ", part " << part);
      Vandalized here;
      Row& row = here.pool.sender().core->layout().row(0);
      Scrawl& scrawl = *here.scrawl;
      scrawl = part == 2 ? scrawl_over_all_of(row.crash, pattern) : scrawl_over_all_of(row.current, pattern);
      if (part == 1) scrawl.bytes = static_cast<std::size_t>(reinterpret_cast<std::byte*>(&row.mailbox) - scrawl.at);
      const ::pid_t worker = here.pool.run_on_each_worker(support::pid_of_worker).front();
      auto doomed = here.pool.with({.label = "victim"}).submit([scrawl = here.scrawl.get()] {
        scrawl->write();
        ::raise(SIGKILL);
      });
      try {
        doomed.get();
        FAIL("it has not died");
      } catch (const WorkerDied& death) {
        CHECK(death.label() == "victim");
        CHECK(death.pid() == worker);
        CHECK(death.signal() == SIGKILL);
        CHECK(death.stack().empty());
        CHECK_THAT(death.what(),
                   Catch::Matchers::StartsWith("worker " + std::to_string(worker) + " died by signal 9 (") &&
                       Catch::Matchers::Contains("while it ran task \"victim\""));
      } catch (const SerializationError& damage) {
        CHECK((pattern == 0 && part == 1));  // The row says that its worker was not ready for any task.
        CHECK(damage.what() == "the record of task \"victim\" was damaged" + culprit);
      }
      CHECK(here.pool.submit(support::twice, 21).get() == 42);
    }
  }
}

TEST_CASE("a result that is borrowed is told as damage where it was written over before") {
  const auto borrow_of = [](auto& future) {
    return damage_told_by([&] { return (static_cast<void>(future.borrow()), 0); });
  };
  const std::string of_victim = "the result of task \"victim\" ";
  Vandalized scene;
  for (const std::uint64_t count : {std::uint64_t{0}, std::uint64_t{999}, std::uint64_t{1001}, ~std::uint64_t{0}}) {
    auto numbers = scene.victim([] { return std::vector<int>(1000, 1); });
    scene.write(scrawl_over(*std::bit_cast<std::uint64_t*>(scene.slot().result.word), count));
    CHECK_THAT(borrow_of(numbers), Catch::Matchers::StartsWith(of_victim));
    CHECK_FALSE(numbers.valid());
  }
  {
    auto numbers = scene.victim([] { return std::vector<int>(1000, 1); });
    ResultHeader moved = scene.slot().result;
    moved.word += 1;
    scene.write(scrawl_over(scene.slot().result, moved));
    CHECK_THAT(borrow_of(numbers), Catch::Matchers::StartsWith(of_victim));
  }
  {
    auto array = scene.victim([] { return std::array<bool, 100>{}; });
    scene.write(scrawl_over(*std::bit_cast<std::byte*>(scene.slot().result.word), std::byte{2}));
    CHECK_THAT(borrow_of(array), Catch::Matchers::StartsWith(of_victim));
  }
  auto number = scene.victim([] { return 1; });
  scene.write(scrawl_over_all_of(scene.slot().result, 0x3C));
  CHECK(borrow_of(number) != "");
}

TEST_CASE("a map whose chunk's header was written over is told as damage of its items") {
  for (const int pattern : patterns) {
    INFO("pattern " << pattern);
    Vandalized here;
    auto numbers = here.mapped(support::twice);
    here.write(scrawl_over_all_of(here.header(), pattern));
    CHECK(damages_told_by(numbers) == std::vector<std::string>(4, broken_chunk));
    auto texts = here.mapped([](int x) { return std::string(100, static_cast<char>('a' + x)); });
    here.write(scrawl_over_all_of(here.header(), pattern));
    CHECK(damages_told_by(texts) == std::vector<std::string>(4, broken_chunk));
    CHECK(here.pool.map(support::twice, {1, 2}) == std::vector{2, 4});
  }
}

TEST_CASE("a map whose list of failures was written over takes nothing for a value") {
  const std::string damaged =
      "the list of what failed of the chunk of items 0 to 3 of task \"score\" is damaged" + culprit;
  for (const int pattern : patterns) {
    INFO("pattern " << pattern);
    Vandalized here;
    auto numbers = here.mapped([](int x) { return x == 2 ? throw std::out_of_range("two") : x; });
    here.write(scrawl_over_all_of(here.header().failures, pattern));
    CHECK(damages_told_by(numbers) == std::vector<std::string>(4, damaged));
    auto nothing = here.mapped([](int x) { return x == 2 ? throw std::out_of_range("two") : void(); });
    here.write(scrawl_over_all_of(here.header().failures, pattern));
    CHECK(damages_told_by(nothing) == std::vector<std::string>(4, damaged));
  }
}

TEST_CASE("a map whose list of failures was cut short takes nothing for a value, and tells what is left of it") {
  const std::string damaged =
      "the list of what failed of the chunk of items 0 to 3 of task \"score\" is damaged" + culprit;
  Vandalized here;
  auto numbers = here.mapped([](int x) { return x >= 1 ? throw std::out_of_range("above zero") : x; });
  auto* const second =
      std::bit_cast<FailureRecord*>(std::bit_cast<FailureRecord*>(here.header().failures.load())->next);
  here.write(scrawl_over_all_of(second->next, 0));
  std::vector<std::string> told;
  for (const auto& outcome : numbers) {
    REQUIRE_FALSE(outcome.has_value());
    try {
      static_cast<void>(outcome.value());
    } catch (const std::exception& failure) {
      told.emplace_back(failure.what());
    }
  }
  REQUIRE(told.size() == 4);
  CHECK(told[0] == damaged);
  CHECK(told[1] == damaged);
  for (const std::size_t i : {2U, 3U}) CHECK_THAT(told[i], Catch::Matchers::Contains("above zero"));
}

TEST_CASE("a map whose results' addresses were written over is told as damage of each item") {
  for (const int pattern : patterns) {
    INFO("pattern " << pattern);
    Vandalized here;
    auto texts = here.mapped([](int x) { return std::string(100, static_cast<char>('a' + x)); });
    auto* const blocks = reinterpret_cast<std::array<ItemBlock, 3>*>(&here.header() + 1);
    here.write(scrawl_over_all_of(*blocks, pattern));
    const auto told = damages_told_by(texts);
    REQUIRE(told.size() == 4);
    for (std::size_t i = 0; i < 3; ++i) CHECK(told[i] == of_item[i] + "is damaged" + culprit);
    CHECK(told[3] == "");
  }
}

TEST_CASE("an item that ruins the count of finished items, and dies, makes no other pass for finished") {
  const int retries = GENERATE(0, 1);
  const support::SharedGate gate;
  Vandalized here;
  const auto ruin = [gate = gate.get(), scrawl = here.scrawl.get()](int item) {
    if (item != 1) return item;
    gate->pass();
    scrawl->write();
    ::raise(SIGKILL);
    return item;
  };
  auto results = here.pool.with({.retries = retries, .chunk_size = 4, .label = "score"})
                     .imap_unordered_outcomes(ruin, std::vector{0, 1, 2, 3});
  REQUIRE(gate->is_reached_by(1));
  *here.scrawl = scrawl_over_all_of(here.header().finished, 0xFF);
  gate->open();
  int deaths = 0;
  for (const auto& outcome : results) {
    try {
      static_cast<void>(outcome.value());
    } catch (const SerializationError& damage) {
      FAIL_CHECK("the death is hidden: " << damage.what());
    } catch (const WorkerDied& death) {
      ++deaths;
      CHECK(death.signal() == SIGKILL);
      CHECK(death.label() == "score");
      CHECK_FALSE(death.position().has_value());
    }
  }
  CHECK(deaths == 4);
}

TEST_CASE("a worker that writes over where results are announced fails no task and no item") {
  for (const int pattern : patterns) {
    INFO("pattern " << pattern);
    Vandalized here;
    std::vector<int> items(100);
    std::iota(items.begin(), items.end(), 0);
    *here.scrawl = scrawl_over_all_of(here.exchange.completions(0), pattern);
    const auto write = [scrawl = here.scrawl.get()](int x) { return scrawl->write(), x; };
    CHECK(here.pool.with({.chunk_size = 3}).map(write, items) == items);
    CHECK(here.pool.map(support::twice, {1, 2}) == std::vector{2, 4});
  }
}
