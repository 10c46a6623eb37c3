// SPDX-License-Identifier: BSL-1.0

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <stdexcept>
#include <string>
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
using support::all_ways;
using support::death_of;
using support::die;
using support::is_in_worker;
using support::twice;
using support::Way;

namespace {

/// Dies at one step of its way through a worker.
struct Deadly {
  enum class Step { none, arrives, is_sent, is_destroyed };

  Deadly() = default;
  Deadly(Step its_step, Way its_way) : step(its_step), way(its_way) {}
  Deadly(const Deadly&) = default;
  Deadly& operator=(const Deadly&) = default;
  Deadly(Deadly&& other) noexcept : step(std::exchange(other.step, Step::none)), way(other.way), text(other.text) {}
  Deadly& operator=(Deadly&&) = delete;
  ~Deadly() {
    if (step == Step::is_destroyed && is_in_worker()) die(way);
  }

  template <class Archive>
  void save(Archive& archive) const {
    archive(step, way, text);
    if (step == Step::is_sent && is_in_worker()) die(way);
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(step, way, text);
    if (step == Step::arrives && is_in_worker()) die(way);
  }

  Step step = Step::none;
  Way way = Way::kill;
  std::string text = std::string(1000, 'x');
};

/// What a task does to die with such an object in hand.
struct Case {
  const char* what;
  Deadly::Step step;
  bool as_result;
};
constexpr Case cases[] = {{"while an argument is decoded", Deadly::Step::arrives, false},
                          {"while an argument is destroyed", Deadly::Step::is_destroyed, false},
                          {"while the result is encoded", Deadly::Step::is_sent, true},
                          {"while the result is destroyed", Deadly::Step::is_destroyed, true}};

std::string take(Deadly&& deadly) {
  const Deadly mine(std::move(deadly));
  return mine.text + mine.text;
}
Deadly give(int step, Way way) { return Deadly(static_cast<Deadly::Step>(step), way); }

}  // namespace

TEST_CASE("a task that ends its worker fails alone and says how, and the worker is replaced") {
  for (const Way way : all_ways) {
    INFO("way " << static_cast<int>(way));
    const support::Shared<std::atomic<::pid_t>> victim;
    ProcessPool pool{2};
    std::vector<Future<int>> others;
    for (int i = 0; i < 20; ++i) others.push_back(pool.submit(twice, i));
    auto doomed = pool.with({.label = "doomed"})
                      .submit(
                          [pid = victim.get()](Way its_way) {
                            *pid = ::getpid();
                            die(its_way);
                            return 1;
                          },
                          way);
    for (int i = 20; i < 40; ++i) others.push_back(pool.submit(twice, i));

    const WorkerDied death = death_of(std::move(doomed));
    CHECK(death.pid() == *victim);
    CHECK(death.signal() == support::ending_of(way).signal);
    CHECK(death.exit_status() == support::ending_of(way).exit_status);
    CHECK(death.label() == "doomed");
    CHECK_FALSE(death.position());
    for (int i = 0; i < 40; ++i) CHECK(others[static_cast<std::size_t>(i)].get() == 2 * i);
    const auto pids = support::pids_of(pool);
    CHECK(std::count(pids.begin(), pids.end(), *victim) == 0);
    pool.wait_idle();
    const auto stats = pool.stats();
    CHECK(stats.worker_deaths == 1);
    CHECK(stats.submitted == 41);
    CHECK(stats.completed == 41);
    CHECK(stats.queued + stats.running == 0);
    CHECK(support::what_is_left(pool) == "");
  }
}

TEST_CASE("a death at any step of an argument or a result loses that task alone") {
  for (const Case& each : cases) {
    for (const Way way : {Way::kill, Way::exit_42, Way::abort, Way::thread_exit}) {
      if (way == Way::thread_exit && each.step == Deadly::Step::is_destroyed) continue;  // Destructors are noexcept.
      INFO(each.what << ", way " << static_cast<int>(way));
      ProcessPool pool{2};
      for (int round = 0; round < 3; ++round) {
        auto before = pool.submit(twice, 1);
        if (each.as_result) {
          const auto death = death_of(pool.submit(give, static_cast<int>(each.step), way));
          CHECK(death.signal() == support::ending_of(way).signal);
          CHECK(death.exit_status() == support::ending_of(way).exit_status);
        } else {
          const auto death = death_of(pool.submit(take, Deadly(each.step, way)));
          CHECK(death.signal() == support::ending_of(way).signal);
          CHECK(death.exit_status() == support::ending_of(way).exit_status);
        }
        CHECK(before.get() == 2);
        CHECK(pool.submit(take, Deadly()).get().size() == 2000);
        CHECK(pool.submit(give, 0, way).get().text.size() == 1000);
      }
      pool.wait_idle();
      CHECK(support::what_is_left(pool) == "");
    }
  }
}

TEST_CASE("a death at any step of the argument or result of a map's item loses that item alone") {
  for (const Case& each : cases) {
    for (const std::size_t chunk_size : {1U, 3U, 20U}) {
      INFO(each.what << ", chunks of " << chunk_size);
      ProcessPool pool{2};
      std::vector<Deadly> items(20);
      std::vector<int> steps(20, 0);
      for (const std::size_t deadly : {0U, 7U, 8U, 19U}) {
        items[deadly].step = each.step;
        steps[deadly] = static_cast<int>(each.step);
      }
      const auto check = [&](const auto& outcomes, const auto& is_right) {
        REQUIRE(outcomes.size() == 20);
        for (std::size_t i = 0; i < 20; ++i) {
          CHECK(outcomes[i].position() == i);
          if (steps[i] == 0 && items[i].step == Deadly::Step::none) {
            CHECK(is_right(*outcomes[i]));
            continue;
          }
          try {
            outcomes[i].value();
            FAIL("item " << i << " has a value");
          } catch (const WorkerDied& death) {
            CHECK(death.position() == i);
            CHECK(death.signal() == SIGKILL);
          }
        }
      };
      if (each.as_result) {
        check(pool.with({.chunk_size = chunk_size}).map_outcomes([](int step) { return give(step, Way::kill); }, steps),
              [](const Deadly& result) { return result.text.size() == 1000; });
      } else {
        check(pool.with({.chunk_size = chunk_size}).map_outcomes(take, items),
              [](const std::string& result) { return result.size() == 2000; });
      }
      pool.wait_idle();
      CHECK(support::what_is_left(pool) == "");
    }
  }
}

TEST_CASE("an exception that comes out of a worker's death is the death, whatever the task had written before") {
  ProcessPool pool{1};
  auto future = pool.submit([]() -> std::string {
    struct Bomb {
      ~Bomb() { ::_exit(6); }
    } bomb;
    throw std::runtime_error("the worker ends while this is on its way");
  });
  CHECK(death_of(std::move(future)).exit_status() == 6);
  CHECK(pool.submit(twice, 4).get() == 8);
}

TEST_CASE("a thousand deaths in a small pool use up neither slots nor shared memory") {
  const int deaths = support::is_full_run() ? 5000 : 400;
  ProcessPool pool{{.workers = 2, .queue_capacity = 16, .shared_memory = std::size_t{16} << 20}};
  int died = 0;
  for (int i = 0; i < deaths; ++i) {
    auto text = pool.submit([](int x) { return std::string(300'000, static_cast<char>('a' + x % 26)); }, i);
    auto doomed = pool.submit(
        [](int x) -> Deadly {
          if (x % 2 == 0) die(Way::quiet_exit_3);
          Deadly result(Deadly::Step::is_destroyed, Way::quiet_exit_3);
          result.text = std::string(x % 4 == 1 ? 1000 : 400'000, 'y');
          return result;
        },
        i);
    CHECK(text.get() == std::string(300'000, static_cast<char>('a' + i % 26)));
    died += death_of(std::move(doomed)).exit_status() == 3 ? 1 : 0;
  }
  CHECK(died == deaths);
  pool.wait_idle();
  CHECK(pool.stats().worker_deaths == static_cast<std::size_t>(deaths));
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a task without a future that dies is counted, and leaves nothing") {
  ProcessPool pool{2};
  for (int i = 0; i < 10; ++i) pool.submit([](int x) { x % 2 == 0 ? die(Way::quiet_exit_3) : void(); }, i);
  pool.wait_idle();
  const auto stats = pool.stats();
  CHECK(stats.dropped_failures == 5);
  CHECK(stats.worker_deaths == 5);
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a continuation of a task that died is not run, and gets the death") {
  ProcessPool pool{1};
  int runs = 0;
  auto next = pool.submit([] {
                    die(Way::exit_42);
                    return 1;
                  })
                  .then([&](int) {
                    ++runs;
                    return 2;
                  });
  CHECK(death_of(std::move(next)).exit_status() == 42);
  CHECK(runs == 0);
}

TEST_CASE("run_on_each_worker reaches every worker once, though some die in it") {
  const support::SharedCount calls;
  ProcessPool pool{3};
  for (int round = 0; round < 5; ++round) {
    const int before = *calls;
    CHECK_THROWS_AS(pool.run_on_each_worker([count = calls.get()] {
      ++*count;
      if (procpool::this_worker::index() == 1) die(Way::kill);
      return 1;
    }),
                    WorkerDied);
    CHECK(*calls == before + 3);
  }
  CHECK(pool.run_on_each_worker([] { return procpool::this_worker::index(); }) == std::vector<std::size_t>{0, 1, 2});
}
