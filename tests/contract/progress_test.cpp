// SPDX-License-Identifier: BSL-1.0

#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using namespace std::chrono_literals;
using procpool::ProcessPool;
using procpool::Progress;
using support::eventually;
using support::OpensAtEnd;
using support::same;
using support::SharedCount;
using support::SharedGate;

namespace {

/// Keeps what was reported.
class Reports {
 public:
  [[nodiscard]] auto taker() {
    return [this](const Progress& progress) {
      const std::lock_guard lock(mutex_);
      goes_back_ = goes_back_ || (!done_.empty() && progress.done < done_.back());
      done_.push_back(progress.done);
      last_total_ = progress.total;
      label_ = progress.label;
      thread_ = std::this_thread::get_id();
    };
  }

  [[nodiscard]] std::size_t last_done() const {
    const std::lock_guard lock(mutex_);
    return done_.empty() ? 0 : done_.back();
  }
  [[nodiscard]] std::size_t last_total() const { return read(last_total_); }
  [[nodiscard]] std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return done_.size();
  }
  [[nodiscard]] bool goes_back() const { return read(goes_back_); }
  [[nodiscard]] std::string label() const { return read(label_); }
  [[nodiscard]] std::thread::id thread() const { return read(thread_); }

 private:
  template <class T>
  [[nodiscard]] T read(const T& member) const {
    const std::lock_guard lock(mutex_);
    return member;
  }

  mutable std::mutex mutex_;
  std::vector<std::size_t> done_;
  std::size_t last_total_ = 0;
  bool goes_back_ = false;
  std::string label_;
  std::thread::id thread_;
};

}  // namespace

TEST_CASE("a map reports how far it is on the calling thread, last of all that it is complete") {
  ProcessPool pool{2};
  Reports reports;
  pool.with({.label = "score"}).on_progress(reports.taker()).map(same, std::views::iota(0, 1000));
  CHECK(reports.last_done() == 1000);
  CHECK(reports.last_total() == 1000);
  CHECK(reports.label() == "score");
  CHECK_FALSE(reports.goes_back());
  CHECK(reports.thread() == std::this_thread::get_id());
}

TEST_CASE("every blocking verb reports its progress") {
  ProcessPool pool{2};
  const auto items = std::views::iota(0, 50);
  const auto check = [](auto call) {
    Reports reports;
    call(reports);
    CHECK(reports.last_done() == 50);
    CHECK(reports.last_total() == 50);
  };
  check([&](Reports& reports) { pool.with({}).on_progress(reports.taker()).for_each(same, items); });
  check([&](Reports& reports) {
    static_cast<void>(pool.with({}).on_progress(reports.taker()).map_outcomes(same, items));
  });
  check(
      [&](Reports& reports) { pool.with({}).on_progress(reports.taker()).map_reduce(same, std::plus<>(), 0, items); });
  check([&](Reports& reports) {
    pool.with({}).on_progress(reports.taker()).starmap(same, items | std::views::transform([](int x) {
                                                               return std::tuple(x);
                                                             }));
  });
  check([&](Reports& reports) {
    for ([[maybe_unused]] const int each : pool.with({}).on_progress(reports.taker()).imap(same, items)) {
    }
  });
  check([&](Reports& reports) {
    for ([[maybe_unused]] const int each : pool.with({}).on_progress(reports.taker()).imap_unordered(same, items)) {
    }
  });
  check([&](Reports& reports) {
    const auto terms = pool.with({}).on_progress(reports.taker());
    for ([[maybe_unused]] auto&& each : terms.imap_unordered_outcomes(same, items)) {
    }
  });
  Reports reports;
  pool.with({}).on_progress(reports.taker()).run_on_each_worker(same, 1);
  CHECK(reports.last_done() == 2);
  CHECK(reports.last_total() == 2);
  CHECK(reports.thread() == std::this_thread::get_id());
}

TEST_CASE("a map that is sent asynchronously reports its progress on another thread") {
  ProcessPool pool{2};
  const auto check = [](std::size_t items, auto call) {
    Reports reports;
    call(reports);
    CHECK(reports.last_done() == items);
    CHECK(reports.last_total() == items);
    CHECK(reports.count() >= 1);
    CHECK_FALSE(reports.goes_back());
    CHECK(reports.thread() != std::this_thread::get_id());
  };
  const std::vector<std::tuple<int>> tuples(100, std::tuple(1));
  check(1000, [&](Reports& reports) {
    pool.with({}).on_progress(reports.taker()).map_async(same, std::views::iota(0, 1000)).get();
  });
  check(100, [&](Reports& reports) { pool.with({}).on_progress(reports.taker()).starmap_async(same, tuples).get(); });
  check(0, [&](Reports& reports) {
    pool.with({}).on_progress(reports.taker()).map_async(same, std::vector<int>()).get();
  });
}

TEST_CASE("a submitted task reports its own progress on another thread") {
  Reports reports;
  const SharedGate gate;
  {
    ProcessPool pool{1};
    const OpensAtEnd opens(gate);
    auto future = pool.with({.label = "score"})
                      .on_progress(reports.taker())
                      .submit(
                          [gate = gate.get()](int steps) {
                            procpool::this_task::report_progress(1, static_cast<std::size_t>(steps));
                            gate->pass();
                            procpool::this_task::report_progress(3, static_cast<std::size_t>(steps));
                            return steps;
                          },
                          4);
    CHECK(eventually([&] { return reports.last_done() == 1; }, 20s));
    CHECK(reports.last_total() == 4);
    gate->open();
    CHECK(future.get() == 4);
  }
  CHECK(reports.last_done() == 4);  // The last report, for which the pool's destructor waits, is of the whole.
  CHECK(reports.last_total() == 4);
  CHECK(reports.label() == "score");
  CHECK_FALSE(reports.goes_back());
  CHECK(reports.thread() != std::this_thread::get_id());
}

TEST_CASE("the end of a submitted task is reported once, whatever becomes of it and of its future") {
  Reports reports[5];
  {
    const SharedGate gate;
    ProcessPool pool{1};
    const OpensAtEnd opens(gate);
    const auto terms = [&](int i) { return pool.with({}).on_progress(reports[i].taker()); };
    auto held = terms(0).submit([gate = gate.get()] { gate->pass(); });
    auto unwanted = terms(1).submit(same, 1);
    auto broken = terms(2).submit([]() -> int { throw std::domain_error("no"); });
    auto dead = *terms(3).try_submit([] { return ::raise(SIGKILL); });
    static_cast<void>(terms(4).submit(same, 1));
    CHECK(unwanted.cancel());
    gate->open();
    CHECK_THROWS_AS(broken.get(), std::domain_error);
    CHECK_THROWS_AS(dead.get(), procpool::WorkerDied);
    CHECK_THROWS_AS(unwanted.get(), procpool::Cancelled);
  }
  for (const Reports& each : reports) {
    CHECK(each.count() == 1);
    CHECK(each.last_done() == 1);
    CHECK(each.last_total() == 1);
  }
}

TEST_CASE("what a task reports is not taken for the progress of another one") {
  Reports first;
  Reports second;
  const SharedGate gate;
  {
    ProcessPool pool{1};
    const OpensAtEnd opens(gate);
    pool.with({}).on_progress(first.taker()).submit([] { procpool::this_task::report_progress(60, 60); }).get();
    CHECK(eventually([&] { return first.count() > 0; }, 20s));
    auto nobody_asks = pool.submit([gate = gate.get()] {
      gate->pass();
      procpool::this_task::report_progress(70, 70);
    });
    auto silent = pool.with({}).on_progress(second.taker()).submit(same, 1);
    gate->open();
    nobody_asks.get();
    CHECK(silent.get() == 1);
  }
  CHECK(first.last_done() == 60);
  CHECK(second.last_done() == 1);
}

TEST_CASE("failed items count as done") {
  ProcessPool pool{2};
  Reports reports;
  const auto fail_or_die = [](int x) {
    if (x == 1) throw std::domain_error("no");
    if (x == 2) ::raise(SIGKILL);
    return x;
  };
  const auto outcomes = pool.with({}).on_progress(reports.taker()).map_outcomes(fail_or_die, std::views::iota(0, 10));
  CHECK(outcomes.size() == 10);
  CHECK(reports.last_done() == 10);
}

TEST_CASE("the total of an input range is unknown until it has ended") {
  ProcessPool pool{2};
  Reports reports;
  auto odd = std::views::iota(0, 20) | std::views::filter([](int x) { return x % 2 == 1; });
  std::vector<std::size_t> totals;
  const auto take = reports.taker();
  pool.with({.chunk_size = 1})
      .on_progress([&](const Progress& progress) {
        totals.push_back(progress.total);
        take(progress);
      })
      .map(same, odd);
  CHECK(reports.last_done() == 10);
  REQUIRE(totals.size() >= 2);
  CHECK(totals.front() == 0);
  CHECK(totals.back() == 10);
}

TEST_CASE("progress is reported at most ten times a second and once at the end") {
  ProcessPool pool{2};
  Reports reports;
  const auto begin = std::chrono::steady_clock::now();
  pool.with({.chunk_size = 1}).on_progress(reports.taker()).map(same, std::views::iota(0, 10'000));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  CHECK(static_cast<double>(reports.count()) <= 10 * elapsed.count() + 2);
}

TEST_CASE("a busy task's progress is reported at most ten times a second and once at the end") {
  Reports reports;
  const SharedCount is_over;
  const auto begin = std::chrono::steady_clock::now();
  {
    ProcessPool pool{1};
    pool.with({}).on_progress(reports.taker()).submit([is_over = is_over.get()] {
      for (std::size_t i = 0; *is_over == 0; ++i) procpool::this_task::report_progress(i, 1'000'000'000'000);
    });
    CHECK(eventually([&] { return reports.count() >= 3; }, 20s));
    *is_over = 1;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  CHECK(static_cast<double>(reports.count()) <= 10 * elapsed.count() + 1);
  CHECK(reports.last_done() == 1'000'000'000'000);
}

TEST_CASE("an exception of the progress callback ends a blocking verb, and does not touch a submitted task") {
  ProcessPool pool{2};
  const auto refuse = [](const Progress&) { throw std::domain_error("enough"); };
  CHECK_THROWS_AS(pool.with({}).on_progress(refuse).map(same, std::views::iota(0, 1000)), std::domain_error);
  CHECK_THROWS_AS(pool.with({}).on_progress(refuse).map_async(same, std::views::iota(0, 1000)).get(),
                  std::domain_error);
  CHECK(pool.with({}).on_progress(refuse).submit(same, 1).get() == 1);
  pool.wait_idle();
  CHECK(pool.submit(same, 1).get() == 1);
}

TEST_CASE("a task knows its label") {
  ProcessPool pool{1};
  const auto label = [] { return std::string(procpool::this_task::label()); };
  CHECK(pool.with({.label = "mine"}).submit(label).get() == "mine");
  CHECK(pool.submit(label).get().empty());
  CHECK(
      pool.with({.label = "map"}).map([](int) { return std::string(procpool::this_task::label()); }, std::vector{1}) ==
      std::vector<std::string>{"map"});
  CHECK(procpool::this_task::label().empty());
}

TEST_CASE("a label is copied when it is given") {
  ProcessPool pool{1};
  std::string label = "given and long enough to be on the heap";
  const auto terms = pool.with({.label = label});
  label.assign(label.size(), '?');
  CHECK(terms.submit([] { return std::string(procpool::this_task::label()); }).get() ==
        "given and long enough to be on the heap");
}

TEST_CASE("a task that is asked to stop can see it and end early") {
  const SharedGate gate;
  ProcessPool pool{1};
  auto future = pool.submit([gate = gate.get()] {
    gate->pass();
    return procpool::this_task::stop_requested();
  });
  REQUIRE(gate->is_reached_by(1));
  CHECK_FALSE(future.cancel());
  gate->open();
  CHECK(future.get());
  CHECK_FALSE(pool.submit([] { return procpool::this_task::stop_requested(); }).get());
  CHECK_FALSE(procpool::this_task::stop_requested());
}

TEST_CASE("a task may tell of its own progress, anywhere") {
  ProcessPool pool{1};
  CHECK(pool.submit([] {
              procpool::this_task::report_progress(1, 2);
              return 1;
            })
            .get() == 1);
  CHECK_NOTHROW(procpool::this_task::report_progress(1, 2));
}
