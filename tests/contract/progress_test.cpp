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
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/shared_page.hpp"

using procpool::ProcessPool;
using procpool::Progress;
using support::OpensAtEnd;
using support::SharedGate;

namespace {

int same(int x) { return x; }

/// Keeps what was reported.
class Reports {
 public:
  [[nodiscard]] auto taker() {
    return [this](const Progress& progress) {
      const std::lock_guard lock(mutex_);
      if (!done_.empty() && progress.done < done_.back()) goes_back_ = true;
      done_.push_back(progress.done);
      last_total_ = progress.total;
      label_ = progress.label;
      thread_ = std::this_thread::get_id();
    };
  }

  [[nodiscard]] std::size_t last_done() const { return done_.empty() ? 0 : done_.back(); }
  [[nodiscard]] std::size_t last_total() const { return last_total_; }
  [[nodiscard]] std::size_t count() const { return done_.size(); }
  [[nodiscard]] bool goes_back() const { return goes_back_; }
  [[nodiscard]] const std::string& label() const { return label_; }
  [[nodiscard]] std::thread::id thread() const { return thread_; }

 private:
  std::mutex mutex_;
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
    for ([[maybe_unused]] const int each : pool.with({}).on_progress(reports.taker()).imap(same, items)) {
    }
  });
}

TEST_CASE("a map that is sent asynchronously reports its progress on another thread") {
  ProcessPool pool{2};
  Reports reports;
  pool.with({}).on_progress(reports.taker()).map_async(same, std::views::iota(0, 1000)).get();
  CHECK(reports.last_done() == 1000);
  CHECK_FALSE(reports.goes_back());
  CHECK(reports.thread() != std::this_thread::get_id());
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

TEST_CASE("an exception of the progress callback ends a blocking verb") {
  ProcessPool pool{2};
  const auto refuse = [](const Progress&) { throw std::domain_error("enough"); };
  CHECK_THROWS_AS(pool.with({}).on_progress(refuse).map(same, std::views::iota(0, 1000)), std::domain_error);
  CHECK_THROWS_AS(pool.with({}).on_progress(refuse).map_async(same, std::views::iota(0, 1000)).get(),
                  std::domain_error);
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
