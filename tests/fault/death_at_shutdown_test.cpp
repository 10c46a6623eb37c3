// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::Future;
using procpool::ProcessPool;
using procpool::WorkerDied;
using support::die;
using support::twice;
using support::Way;

namespace {

/// What becomes of a task.
enum class Fate { value, exception, death, death_of_argument, unsendable_result, unreadable_result };
constexpr Fate fates[] = {Fate::death,
                          Fate::value,
                          Fate::unsendable_result,
                          Fate::death_of_argument,
                          Fate::exception,
                          Fate::unreadable_result,
                          Fate::death,
                          Fate::value};

struct Fated {
  template <class Archive>
  void save(Archive& archive) const {
    archive(fate);
    if (fate == Fate::unsendable_result && support::is_in_worker()) throw std::range_error("not to be sent");
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(fate);
    if (fate == Fate::death_of_argument) die(Way::quiet_exit_3);
    if (fate == Fate::unreadable_result && !support::is_in_worker()) throw std::domain_error("not to be read");
  }

  Fate fate = Fate::value;
};

Fated meet(const Fated& argument) {
  if (argument.fate == Fate::death) die(Way::kill);
  if (argument.fate == Fate::exception) throw std::out_of_range("thrown");
  return argument;
}

/// What the future turned out to be; empty if that is none of the fates.
std::optional<Fate> met_by(Future<Fated> future) {
  try {
    return future.get().fate;
  } catch (const WorkerDied& death) {
    return death.signal() == SIGKILL ? Fate::death : Fate::death_of_argument;
  } catch (const std::range_error&) {
    return Fate::unsendable_result;
  } catch (const std::domain_error&) {
    return Fate::unreadable_result;
  } catch (const std::out_of_range&) {
    return Fate::exception;
  } catch (...) {
    return std::nullopt;
  }
}

/// A pool whose only worker waits at a gate, and a task of each fate behind that.
struct Doomed {
  support::SharedGate gate;
  std::optional<ProcessPool<>> pool{std::in_place, 1};
  support::OpensAtEnd opens{gate};
  std::vector<Future<Fated>> futures;

  Doomed() {
    static_cast<void>(pool->submit([gate = gate.get()] { gate->pass(); }));
    REQUIRE(gate->is_reached_by(1));
    for (const Fate fate : fates) futures.push_back(pool->submit(meet, Fated{fate}));
  }

  void check_fates() {
    for (std::size_t i = 0; i < std::size(fates); ++i) {
      INFO("task " << i);
      CHECK(met_by(std::move(futures[i])) == fates[i]);
    }
  }
};

void kill_idle_workers(const ProcessPool<>& pool, std::size_t most) {
  const ::pid_t zygote = support::zygote_of(pool);
  const auto pids = support::pids_of(pool);
  for (std::size_t i = 0; i < most; ++i) support::signal_child_of(zygote, pids[i], SIGKILL);
}

}  // namespace

TEST_CASE("a closed pool replaces workers that die, and everything it was given meets its fate") {
  Doomed doomed;
  doomed.pool->close();
  doomed.gate->open();
  doomed.pool->join();
  CHECK(doomed.pool->stats().worker_deaths == 3);
  doomed.check_fates();
}

TEST_CASE("a pool's destructor waits for what dies in it and what cannot be sent, and the futures tell of it later") {
  Doomed doomed;
  doomed.gate->open();
  doomed.pool.reset();
  doomed.check_fates();
}

TEST_CASE("callbacks of tasks that die in a closed pool are all called before it ends") {
  Doomed doomed;
  std::atomic<int> values{0};
  std::atomic<int> failures{0};
  for (auto& future : doomed.futures) {
    future.on_ready([&](const procpool::Outcome<Fated>& outcome) { ++(outcome.has_value() ? values : failures); });
  }
  doomed.futures.clear();
  doomed.pool->close();
  doomed.gate->open();
  doomed.pool.reset();
  CHECK(values == 2);
  CHECK(failures == 6);
}

TEST_CASE("a pool whose idle workers were killed ends, works and is waited for as any other") {
  for (std::size_t victims = 1; victims <= 3; ++victims) {
    for (int end = 0; end < 6; ++end) {
      INFO(victims << " victims, end " << end);
      ProcessPool pool{3};
      kill_idle_workers(pool, victims);
      switch (end) {
        case 0: pool.close(); [[fallthrough]];
        case 1: break;
        case 2: pool.terminate(); break;
        case 3: CHECK(pool.map(twice, std::vector{1, 2, 3, 4}) == std::vector{2, 4, 6, 8}); break;
        case 4: {
          auto future = pool.submit(twice, 21);
          pool.close();
          pool.join();
          CHECK(future.get() == 42);
          break;
        }
        default: CHECK(pool.run_on_each_worker(twice, 2) == std::vector{4, 4, 4}); break;
      }
    }
  }
}

TEST_CASE("a submit that waits for room in the queue goes on while worker after worker dies") {
  ProcessPool pool{{.workers = 2, .queue_capacity = 4}};
  std::vector<Future<int>> futures;
  for (int i = 0; i < 200; ++i) {
    futures.push_back(pool.submit(
        [](int x) {
          if (x % 5 == 2) die(Way::kill);
          return x;
        },
        i));
  }
  for (int i = 0; i < 200; ++i) {
    auto& future = futures[static_cast<std::size_t>(i)];
    if (i % 5 == 2) CHECK_THROWS_AS(future.get(), WorkerDied);
    else CHECK(future.get() == i);
  }
}
