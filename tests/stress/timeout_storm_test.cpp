// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <future>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/seed.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using procpool::Future;
using procpool::Priority;
using procpool::ProcessPool;
using procpool::TaskOptions;
using procpool::TaskTimeout;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int workers_of_storm = 4;
constexpr std::size_t most_tasks = 20'000;

std::size_t tasks_of_storm() { return support::is_full_run() ? most_tasks : 2000; }

/// How often each task has begun, in all processes.
struct TimesBegun {
  std::array<std::atomic<int>, most_tasks> of{};
};

enum class Haste {
  untimed,    // has no timeout
  unhurried,  // has one that it never reaches
  punctual,   // ends about when its deadline comes, before or after
  polite,     // goes on until it is asked to stop
  deaf,       // is ended by SIGKILL alone
};

/// One task of the storm.
struct TimedPlan {
  Haste haste = Haste::untimed;
  TaskOptions options = {};
  std::chrono::microseconds work{0};

  [[nodiscard]] bool has_deadline_to_miss() const noexcept {
    return haste != Haste::untimed && haste != Haste::unhurried;
  }
};

TimedPlan next_timed_plan(std::mt19937& random) {
  TimedPlan plan;
  const auto choice = random() % 32;
  plan.options.priority = std::array{Priority::low, Priority::normal, Priority::high}[random() % 3];
  plan.options.retries_on_timeout = static_cast<int>(random() % 2);
  plan.work = std::chrono::microseconds(random() % 100);
  if (choice < 16) {
    plan.options.retries_on_timeout = 0;
  } else if (choice < 20) {
    plan.haste = Haste::unhurried;
    plan.options.timeout = 1h;
    plan.options.grace = 0ms;
  } else {
    plan.haste = choice < 28 ? Haste::punctual : choice < 30 ? Haste::polite : Haste::deaf;
    plan.options.timeout = std::chrono::milliseconds(1 + random() % 3);
    // Who obeys has all the time that it needs.
    plan.options.grace = plan.haste == Haste::polite ? 1h : std::chrono::milliseconds(random() % 3 == 0 ? 1 : 0);
    // Deadlines are looked at every now and then: who is late by a little has ended meanwhile, or not.
    plan.work = std::chrono::duration_cast<std::chrono::microseconds>(plan.options.timeout) +
                std::chrono::microseconds(random() % 4000) - 1ms;
  }
  return plan;
}

/// In a worker.
std::string run_in_haste(TimesBegun* begun, std::size_t number, Haste haste, std::chrono::microseconds work) {
  ++begun->of[number];
  if (haste == Haste::deaf) {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    for (;;) ::pause();
  }
  if (haste == Haste::polite) {
    if (!support::eventually([] { return procpool::this_task::stop_requested(); }, 20s)) ::abort();
  } else {
    const auto end = Clock::now() + work;
    while (Clock::now() < end) {
    }
  }
  return std::string(number % 16 == 0 ? 5000 : number % 90, 'x');
}

/// What has become of the tasks.
class Verdicts {
 public:
  explicit Verdicts(const TimesBegun& begun) noexcept : begun_(begun) {}

  void judge(std::size_t number, const TimedPlan& plan, Future<std::string>& future) {
    INFO("task " << number << " of haste " << static_cast<int>(plan.haste) << ", which has begun " << begun_.of[number]
                 << " times");
    const bool is_late = is_late_by_timeout(future, number);
    const int begun = begun_.of[number];
    timeouts_ += is_late ? 1 : 0;
    ++(is_late ? late_ : in_time_)[static_cast<std::size_t>(plan.haste)];
    CHECK((!is_late || plan.has_deadline_to_miss()));
    CHECK((is_late || plan.haste != Haste::deaf));
    CHECK((is_late || plan.haste != Haste::polite || plan.options.retries_on_timeout > 0));
    if (!plan.has_deadline_to_miss()) CHECK(begun == 1);
    CHECK(begun <= 1 + plan.options.retries_on_timeout);
    CHECK((is_late || begun >= 1));
  }

  /// Expects that each haste was seen.
  void check() const {
    for (const Haste haste : {Haste::punctual, Haste::polite, Haste::deaf}) CHECK(late(haste) > 0);
    for (const Haste haste : {Haste::untimed, Haste::unhurried, Haste::punctual}) CHECK(in_time(haste) > 0);
  }

  [[nodiscard]] std::uint64_t timeouts() const noexcept { return timeouts_; }
  [[nodiscard]] std::uint64_t late(Haste haste) const { return late_[static_cast<std::size_t>(haste)]; }
  [[nodiscard]] std::uint64_t in_time(Haste haste) const { return in_time_[static_cast<std::size_t>(haste)]; }

 private:
  /// Any other end is an error.
  static bool is_late_by_timeout(Future<std::string>& future, std::size_t number) {
    try {
      const std::string text = future.get();
      CHECK((text == std::string(number % 16 == 0 ? 5000 : number % 90, 'x')));
      return false;
    } catch (const TaskTimeout&) {
      return true;
    }
  }

  const TimesBegun& begun_;
  std::uint64_t timeouts_ = 0;
  std::array<std::uint64_t, 5> late_{};
  std::array<std::uint64_t, 5> in_time_{};
};

/// Maps without a timeout, one after another, until the flag is lowered: their number. Throws if an item fails.
int map_while(const ProcessPool<>& pool, const std::atomic<bool>& goes_on) {
  const std::vector<int> items = support::numbers(40);
  int maps = 0;
  for (; goes_on || maps == 0; ++maps) {
    const auto doubled = pool.with({.chunk_size = 7}).map(support::twice, items);
    for (const int item : items) {
      if (doubled[static_cast<std::size_t>(item)] != 2 * item) throw std::logic_error("an item has a wrong value");
    }
  }
  return maps;
}

struct StopsMapsAtEnd {
  std::atomic<bool>& flag;
  ~StopsMapsAtEnd() { flag = false; }
};

}  // namespace

TEST_CASE("in a storm of timeouts those tasks fail that are late, and nothing else is hit or lost") {
  const unsigned seed = support::new_seed();
  INFO("PROCPOOL_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  const support::Shared<TimesBegun> begun;
  ProcessPool<> pool{{.workers = workers_of_storm, .shared_memory = std::size_t{64} << 20}};
  const auto task = [begun = begun.get()](std::size_t number, Haste haste, std::chrono::microseconds work) {
    return run_in_haste(begun, number, haste, work);
  };
  Verdicts verdicts(*begun);
  {
    std::atomic<bool> goes_on{true};
    std::future<int> maps = std::async(std::launch::async, [&] { return map_while(pool, goes_on); });
    const StopsMapsAtEnd ends{goes_on};
    struct Sent {
      std::size_t number;
      TimedPlan plan;
      Future<std::string> future;
    };
    std::deque<Sent> open;
    const auto judge_one = [&] {
      verdicts.judge(open.front().number, open.front().plan, open.front().future);
      open.pop_front();
    };
    for (std::size_t number = 0; number < tasks_of_storm(); ++number) {
      const TimedPlan plan = next_timed_plan(random);
      open.push_back({number, plan, pool.with(plan.options).submit(task, number, plan.haste, plan.work)});
      if (open.size() > 100) judge_one();
    }
    while (!open.empty()) judge_one();
    goes_on = false;
    int done = 0;
    CHECK_NOTHROW(done = maps.get());
    CHECK(done > 0);
  }
  pool.wait_idle();
  verdicts.check();
  const procpool::PoolStats stats = pool.stats();
  CHECK(stats.failed == verdicts.timeouts());
  CHECK(stats.worker_deaths >= verdicts.late(Haste::deaf));
  CHECK(support::what_is_left(pool) == "");
  CHECK(pool.run_on_each_worker(support::twice, 21) == std::vector<int>(workers_of_storm, 42));
}
