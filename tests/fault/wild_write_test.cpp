// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"
#include "../support/user_process.hpp"

using namespace procpool::detail;
using procpool::Future;
using procpool::ProcessPool;
using support::SharedGate;
using support::twice;
using support::UserProcess;

namespace {

constexpr std::chrono::seconds long_enough{30};

/// Where a wild pointer may point: filled in by the test, read by its tasks.
struct Targets {
  std::byte* at = nullptr;
  std::size_t bytes = 0;
  int value = 0;
};

/// A task that writes where it should not, if it is told to.
struct WildTask {
  Targets* targets;
  int operator()(int x) const {
    if (targets->bytes != 0) std::memset(targets->at, targets->value, targets->bytes);
    return x;
  }
};

template <class T>
Targets all_of(T& object, int value) {
  return {reinterpret_cast<std::byte*>(&object), sizeof object, value};
}

/// Whether a future gives that value, in bounded time.
template <class T>
bool gives(Future<T>& future, const T& value) {
  return future.wait_for(long_enough) && future.get() == value;
}

/// The end of a future, in bounded time; what it ends with may be anything but a wrong value.
template <class T>
bool ends_with(Future<T>& future, const T& value) {
  if (!future.wait_for(long_enough)) return false;
  try {
    return future.get() == value;
  } catch (const procpool::Error&) {
    return true;
  }
}

constexpr int wild_values[] = {0x00, 0x01, 0x3C, 0x7F, 0x80, 0xFF};

/// A pool whose worker is in the middle of a task, with others waiting behind it.
struct Scene {
  support::Shared<Targets> targets;
  SharedGate gate;
  ProcessPool<> pool{procpool::PoolOptions{.workers = 1, .queue_capacity = 64, .shared_memory = std::size_t{32} << 20}};
  PoolCore& core = *pool.sender().core;
  Exchange& exchange = core.exchange();
  Future<int> writer;
  std::vector<Future<int>> waiting;
  Future<std::string> text;

  Scene() {
    writer = pool.submit(
        [gate = gate.get(), targets = targets.get()](int x) {
          gate->pass();
          return WildTask{targets}(x);
        },
        1);
    REQUIRE(gate->is_reached_by(1));
    for (int i = 0; i < 5; ++i) waiting.push_back(pool.submit(twice, i));
    text = pool.submit([] { return std::string(5000, 't'); });
  }

  /// The slot of the writer is the first one; those that wait have the next.
  [[nodiscard]] Slot& slot(Handle handle) { return exchange.slots[handle]; }

  /// Lets the writer write, and expects everything to end all the same: with its value, where `hit` names the only slot
  /// that may suffer.
  void write(const Targets& where, std::optional<Handle> hit = std::nullopt) {
    const auto is_right = [hit](auto& future, const auto& value, Handle handle) {
      return !hit || *hit == handle ? ends_with(future, value) : gives(future, value);
    };
    *targets = where;
    gate->open();
    CHECK(is_right(writer, 1, 0));
    for (std::size_t i = 0; i < 5; ++i) {
      CHECK(is_right(waiting[i], 2 * static_cast<int>(i), static_cast<Handle>(1 + i)));
    }
    CHECK(is_right(text, std::string(5000, 't'), 6));
    targets->bytes = 0;
    // The pool goes on; if the wild write was to what all share, a task or two may fail at first.
    bool works = false;
    for (int tries = 0; tries < 5 && !works; ++tries) {
      auto next = pool.submit(twice, 21);
      if (!next.wait_for(long_enough)) break;
      try {
        works = next.get() == 42;
      } catch (const procpool::Error&) {
      }
    }
    CHECK(works);
    CHECK(pool.wait_idle_for(long_enough));
  }
};

/// What fails says of which task that is, or that what a worker wrote makes no sense.
template <class Read>
void require_told(Read read) {
  try {
    read();
  } catch (const procpool::Cancelled&) {  // A word that says so is as good as any.
  } catch (const procpool::Error& error) {
    const std::string_view text = error.what();
    const bool is_told =
        text.find("\"one of many\"") != text.npos || text.find("memory that is not its own") != text.npos;
    if (!is_told) throw std::logic_error("it is not told what has happened: " + std::string(text));
  }
}

}  // namespace

TEST_CASE("a wild write to the slot of the task itself, or of one that waits, ruins nothing else") {
  for (const Handle handle : {Handle{0}, Handle{2}, Handle{6}}) {
    for (const int value : wild_values) {
      for (int part = 0; part < 4; ++part) {
        INFO("slot " << handle << ", part " << part << ", value " << value);
        Scene scene;
        Slot& slot = scene.slot(handle);
        switch (part) {
          case 0: scene.write(all_of(slot.mutex, value), handle); break;
          case 1: scene.write(all_of(slot.state, value), handle); break;
          case 2: scene.write(all_of(slot.result, value), handle); break;
          default: scene.write(all_of(slot, value), handle);
        }
      }
    }
  }
}

TEST_CASE("a wild byte anywhere in a slot's mutex or state never hangs who waits for the task") {
  for (std::size_t at = 0; at < 48; ++at) {
    for (const int value : {0x01, 0x80, 0xFF}) {
      INFO("byte " << at << ", value " << value);
      Scene scene;
      scene.write({reinterpret_cast<std::byte*>(&scene.slot(3)) + at, 1, value}, Handle{3});
    }
  }
}

TEST_CASE("a wild write to ring cells, or to a ring's head, hides no task for ever") {
  for (const int value : wild_values) {
    INFO("value " << value);
    {
      Scene scene;
      scene.write({scene.exchange.ring_part(), PoolLayout::ring_bytes(64), value});
    }
    {
      Scene scene;
      auto* const words = reinterpret_cast<RingWords*>(&scene.core.layout().words() + 1);
      scene.write({reinterpret_cast<std::byte*>(words), ring_count * sizeof(RingWords), value});
    }
  }
}

TEST_CASE("a worker that writes to what it may only read dies of it, and nothing else is lost") {
  for (int part = 0; part < 3; ++part) {
    INFO("part " << part);
    Scene scene;
    switch (part) {
      case 0: *scene.targets = all_of(scene.core.layout().lives(0), 0xFF); break;
      case 1: *scene.targets = {scene.exchange.ring_part(), PoolLayout::ring_bytes(64), 0}; break;
      default: *scene.targets = {const_cast<std::byte*>(scene.exchange.arguments.region().begin()), 64, 0};
    }
    scene.gate->open();
    CHECK_THROWS_AS(scene.writer.get(), procpool::WorkerDied);
    for (int i = 0; i < 5; ++i) CHECK(scene.waiting[static_cast<std::size_t>(i)].get() == 2 * i);
    CHECK(scene.text.get() == std::string(5000, 't'));
  }
}

TEST_CASE("a wild write to a worker's row does not hide its task") {
  for (const int value : wild_values) {
    for (int part = 0; part < 5; ++part) {
      INFO("part " << part << ", value " << value);
      Scene scene;
      Row& row = scene.core.layout().row(0);
      switch (part) {
        case 0: scene.write(all_of(row.current, value)); break;
        case 1: scene.write(all_of(row.filling, value)); break;
        case 2: scene.write(all_of(row.mailbox, value)); break;
        case 3: scene.write(all_of(row.wake, value)); break;
        default: scene.write(all_of(row.label, value));
      }
    }
  }
}

TEST_CASE("a worker that ruins its row and dies fails its task all the same") {
  for (const int value : wild_values) {
    INFO("value " << value);
    const support::Shared<Targets> targets;
    ProcessPool pool{1};
    *targets = all_of(pool.sender().core->layout().row(0).current, value);
    auto doomed = pool.submit([targets = targets.get()] {
      WildTask{targets}(0);
      support::die(support::Way::kill);
    });
    REQUIRE(doomed.wait_for(long_enough));
    CHECK_THROWS_AS(doomed.get(), procpool::WorkerDied);
    targets->bytes = 0;
    CHECK(pool.submit(twice, 4).get() == 8);
  }
}

TEST_CASE("a wild write to where results are announced does not hang who waits for many") {
  for (const int value : wild_values) {
    INFO("value " << value);
    const support::Shared<Targets> targets;
    ProcessPool pool{2};
    std::vector<int> items(200);
    std::iota(items.begin(), items.end(), 0);
    for (std::size_t worker = 0; worker < 2; ++worker) {
      *targets = all_of(pool.sender().core->exchange().completions(worker), value);
      CHECK(pool.with({.chunk_size = 3}).map(WildTask{targets.get()}, items) == items);
    }
    *targets = all_of(pool.sender().core->exchange().signal(), value);
    CHECK(pool.with({.chunk_size = 3}).map(WildTask{targets.get()}, items) == items);
    *targets = {};
    CHECK(pool.map(twice, {1, 2}) == std::vector<int>{2, 4});
  }
}

TEST_CASE("a wild write to who looks and who sleeps does not stop the pool") {
  for (const int value : wild_values) {
    const support::Shared<Targets> targets;
    ProcessPool pool{2};
    std::vector<Future<int>> futures;
    for (int round = 0; round < 10; ++round) {
      *targets = {pool.sender().core->exchange().pool_part(), Presence::bytes_for(2), value};
      auto wild = pool.submit(WildTask{targets.get()}, round);
      REQUIRE(wild.wait_for(long_enough));
      targets->bytes = 0;
      auto next = pool.submit(twice, round);
      REQUIRE(next.wait_for(long_enough));
      CHECK(next.get() == 2 * round);
    }
  }
}

TEST_CASE("a wild write to the words that steer a pool's processes breaks it, and it says so") {
  for (const int value : {0x01, 0xFF}) {
    const support::Shared<Targets> targets;
    ProcessPool pool{2};
    *targets = all_of(pool.sender().core->layout().words(), value);
    auto wild = pool.submit(WildTask{targets.get()}, 1);
    REQUIRE(wild.wait_for(long_enough));
    REQUIRE(support::eventually(
        [&] {
          try {
            auto next = pool.submit(twice, 1);
            static_cast<void>(next.wait_for(long_enough));
            static_cast<void>(next.get());
          } catch (const procpool::BrokenPool&) {
            return true;
          } catch (const procpool::WorkerDied&) {  // It was in hand when the pool broke, whose workers are killed.
          }
          return false;
        },
        long_enough));
  }
}

TEST_CASE("a wild write to the results of a map fails items and crashes nobody") {
  std::vector<int> items(50);
  std::iota(items.begin(), items.end(), 0);
  for (const int value : wild_values) {
    const support::Shared<Targets> targets;
    ProcessPool pool{2};
    const auto wild = [targets = targets.get()](int x) {
      if (x == 49) WildTask{targets}(x);
      if (x % 9 == 4) throw std::out_of_range("four");
      return std::string(static_cast<std::size_t>(x), 'x');
    };
    // The whole of what workers write for the parent; blocks of a map's results are its first ones.
    Exchange& exchange = pool.sender().core->exchange();
    *targets = {const_cast<std::byte*>(exchange.data.region().begin()), std::size_t{64} << 10, value};
    const auto first = pool.with({.chunk_size = 25}).map_outcomes(wild, items);
    CHECK(first.size() == 50);
    *targets = {exchange.outbox.address(0), std::size_t{64} << 10, value};
    const auto second = pool.with({.chunk_size = 25}).map_outcomes(wild, items);
    CHECK(second.size() == 50);
    for (const auto& outcome : pool.with({.chunk_size = 25}).imap_unordered_outcomes(wild, items)) {
      static_cast<void>(outcome.has_value());
    }
  }
}

TEST_CASE("a worker that writes at random all over the shared memory never crashes or hangs the user's process") {
  const unsigned seeds = support::is_full_run() ? 500 : 25;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    UserProcess user([seed] {
      ::alarm(60);  // It hangs: the end is then a signal.
      ProcessPool pool{{.workers = 2, .queue_capacity = 64, .shared_memory = std::size_t{16} << 20}};
      Exchange& exchange = pool.sender().core->exchange();
      std::byte* const begin = exchange.mapping.begin();
      // Bookkeeping, rings and slots; where maps have their results, and all others theirs.
      const std::size_t bytes = static_cast<std::size_t>(exchange.arguments.region().begin() - begin);
      std::byte* const data = begin + (exchange.data.region().begin() - begin);
      std::byte* const outbox = exchange.outbox.address(0);
      // Captured words must not be addresses of private memory; these are of the mapping.
      const auto wild = [begin, bytes, data, outbox](unsigned its_seed) {
        std::mt19937 random(its_seed);
        for (auto writes = random() % 50; writes > 0; --writes) {
          const auto choice = random() % 6;
          std::byte* const part = choice < 4 ? begin : (choice == 4 ? data : outbox);
          const std::size_t most = choice < 2 ? bytes : (choice < 4 ? std::min<std::size_t>(bytes, 30'000) : 65'536);
          const std::size_t at = random() % most;
          const std::size_t size = std::min<std::size_t>(std::size_t{1} << random() % 9, most - at);
          const auto filling = random() % 3;  // zeros, one byte again and again, or any bytes
          std::memset(part + at, filling == 0 ? 0 : static_cast<int>(random() & 0xFF), size);
          for (std::size_t i = 0; filling == 2 && i < size; ++i) part[at + i] = static_cast<std::byte>(random() & 0xFF);
        }
        return static_cast<int>(its_seed);
      };
      const auto labelled = pool.with({.label = "one of many"});
      std::vector<int> items(30);
      for (unsigned round = 0; round < 5; ++round) {
        std::vector<Future<int>> futures;
        try {
          for (int i = 0; i < 20; ++i) futures.push_back(labelled.submit(twice, i));
          futures.push_back(labelled.submit(wild, seed * 100 + round));
          for (int i = 0; i < 20; ++i) futures.push_back(labelled.submit(twice, i));
          const auto text_of = [](int x) { return std::string(100, static_cast<char>(x)); };
          for (const auto& outcome : labelled.map_outcomes(text_of, items)) {
            require_told([&] { static_cast<void>(outcome.value()); });
          }
        } catch (const procpool::BrokenPool& broken) {
          require_told([&] { throw broken; });
        }
        for (auto& future : futures) {
          require_told([&] { static_cast<void>(future.get()); });
        }
      }
      return 0;
    });
    const int status = user.wait();
    if (status != 0) FAIL("seed " << seed << ": status " << status);
  }
  CHECK(support::kin_that_stays() == "");
}
