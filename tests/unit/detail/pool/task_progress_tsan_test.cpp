// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/detail/pool/task_progress.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/patience.hpp"
#include "../../../support/threads_as_workers.hpp"

using namespace std::chrono_literals;
using procpool::Progress;
using procpool::detail::ProgressFollower;
using procpool::detail::ReportedProgress;
using procpool::detail::ResultHandle;
using support::eventually;
using support::Workbench;
using support::WorkerTask;

namespace {

/// The dispatch thread's until the workbench is gone, but for `count`.
struct Told {
  std::vector<std::uint64_t> done;
  bool goes_beyond = false;
  std::atomic<int> count{0};

  void operator()(const Progress& progress) {
    goes_beyond = goes_beyond || progress.done > progress.total;
    done.push_back(progress.done);
    ++count;
  }
};

void follow_progress(const procpool::Future<int>& future, const ReportedProgress& numbers, Told& told) {
  const ResultHandle& task = procpool::detail::FutureAccess::task(future);
  ProgressFollower(task.exchange().dispatcher, numbers, std::ref(told), nullptr).follow(task);
}

}  // namespace

TEST_CASE("the dispatch thread tells of a task while it reports, and of all of it at its end") {
  ReportedProgress numbers;
  Told told;
  std::atomic<bool> goes_on{true};
  std::thread worker;
  {
    Workbench bench;
    WorkerTask<int> task(bench);
    auto future = task.future();
    task.start();
    follow_progress(future, numbers, told);
    worker = std::thread([&] {
      for (std::uint64_t i = 1; goes_on; ++i) numbers.report({i, 2 * i});
      numbers.report({1, std::uint64_t{1} << 60});
      task.finish(7);
    });
    CHECK(eventually([&] { return told.count >= 3; }, 20s));
    goes_on = false;
    CHECK(future.get() == 7);
    worker.join();
  }
  REQUIRE(told.done.size() >= 4);
  CHECK_FALSE(told.goes_beyond);
  CHECK(told.done[0] < told.done[1]);
  CHECK(told.done.back() == std::uint64_t{1} << 60);
}

TEST_CASE("many tasks are told of at a time, each once at its end") {
  constexpr int count = 50;
  std::vector<ReportedProgress> numbers(count);
  std::vector<std::unique_ptr<Told>> told;
  {
    Workbench bench;
    std::vector<std::unique_ptr<WorkerTask<int>>> tasks;
    for (int i = 0; i < count; ++i) {
      told.push_back(std::make_unique<Told>());
      tasks.push_back(std::make_unique<WorkerTask<int>>(bench));
      const auto future = tasks.back()->future();
      follow_progress(future, numbers[static_cast<std::size_t>(i)], *told.back());
    }
    for (const auto& task : tasks) {
      task->start();
      task->finish(1);
    }
  }
  for (const auto& each : told) CHECK(each->done == std::vector<std::uint64_t>{1});
}
