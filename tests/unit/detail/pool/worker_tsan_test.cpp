// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <procpool/detail/task/wait_set.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/patience.hpp"
#include "../../../support/pool_without_processes.hpp"

using procpool::detail::ResultHandle;
using procpool::detail::RingName;
using procpool::detail::take_result;
using procpool::detail::TaskContext;
using procpool::detail::WaitSet;
using procpool::detail::WorkerIndex;
using support::PoolWithoutProcesses;

namespace {

constexpr std::size_t workers = 3;

/// Counts each of its numbers once.
struct Count {
  std::vector<std::atomic<int>>* counts;
  std::size_t number;

  static void run(TaskContext& context) {
    const auto count = support::argument_of<Count>(context);
    (*count.counts)[count.number].fetch_add(1, std::memory_order_relaxed);
    context.return_inline(count.number * 2);
  }
};

/// Returns a text as long as its number says, in the outbox.
struct Write {
  std::size_t number;

  static void run(TaskContext& context) {
    const auto number = support::argument_of<Write>(context).number;
    procpool::detail::write_result(context, std::string(number % 3000, static_cast<char>('a' + number % 26)));
  }
};

/// Threads as workers, for a scope.
class Threads {
 public:
  explicit Threads(PoolWithoutProcesses& pool) : pool_(pool) {
    for (WorkerIndex index = 0; index < workers; ++index) {
      threads_.emplace_back([this, index] { pool_.serve(index, index + 1); });
    }
  }
  ~Threads() {
    pool_.stop();
    for (auto& thread : threads_) thread.join();
  }

 private:
  PoolWithoutProcesses& pool_;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("no task of many submitters is lost, run twice or slept through by workers that sleep without a limit") {
  constexpr std::size_t submitters = 2;
  const std::size_t each = support::is_full_run() ? 300'000 : 6'000;
  std::vector<std::atomic<int>> counts(submitters * each);
  PoolWithoutProcesses pool(workers, 32);
  std::atomic<bool> is_sound{true};
  {
    const Threads threads(pool);
    std::vector<std::thread> users;
    for (std::size_t s = 0; s < submitters; ++s) {
      users.emplace_back([&, s] {
        std::vector<std::pair<std::size_t, ResultHandle>> open;
        const auto take_one = [&] {
          auto [number, task] = std::move(open.back());
          open.pop_back();
          task.wait();
          if (take_result<std::size_t>(std::move(task)) != number * 2) is_sound = false;
        };
        for (std::size_t i = 0; i < each; ++i) {
          const std::size_t number = s * each + i;
          const auto name = i % 5 == 0 ? RingName::low : i % 3 == 0 ? RingName::high : RingName::normal;
          std::optional<ResultHandle> task;
          while (!(task = pool.try_submit(Count::run, Count{&counts, number}, name))) std::this_thread::yield();
          open.emplace_back(number, std::move(*task));
          while (open.size() > i % 17) take_one();  // Now and then all: then the workers fall asleep.
        }
        while (!open.empty()) take_one();
      });
    }
    for (auto& user : users) user.join();
  }
  CHECK(is_sound);
  CHECK(std::all_of(counts.begin(), counts.end(), [](const auto& count) { return count.load() == 1; }));
  CHECK(pool.exchange().slots.was_used() <= 32 + submitters * 17 + workers);
}

TEST_CASE("large results arrive whole, and their memory comes back while workers go on") {
  const std::size_t total = support::is_full_run() ? 200'000 : 4'000;
  PoolWithoutProcesses pool(workers, 64);
  bool is_sound = true;
  {
    const Threads threads(pool);
    std::vector<std::pair<std::size_t, ResultHandle>> open;
    for (std::size_t number = 0; number < total; ++number) {
      open.emplace_back(number, pool.submit(Write::run, Write{number}));
      if (open.size() < 40) continue;
      for (auto& [of, task] : open) {
        task.wait();
        const auto text = take_result<std::string>(std::move(task));
        is_sound &= text == std::string(of % 3000, static_cast<char>('a' + of % 26));
      }
      open.clear();
    }
    for (auto& [of, task] : open) task.wait();
  }
  CHECK(is_sound);
  for (procpool::detail::Life life = 1; life <= workers; ++life) pool.exchange().outbox.orphan(life);
  CHECK(pool.free_extents() == pool.exchange().outbox.count());
}

TEST_CASE("whoever waits for many tasks is told of each once, by whichever thread drains") {
  const int rounds = support::is_full_run() ? 3000 : 60;
  PoolWithoutProcesses pool(workers, 1024);
  std::vector<std::atomic<int>> counts(400);
  std::atomic<bool> is_sound{true};
  {
    const Threads threads(pool);
    std::vector<std::thread> users;
    for (std::size_t user = 0; user < 2; ++user) {
      users.emplace_back([&, user] {
        for (int round = 0; round < rounds; ++round) {
          std::vector<ResultHandle> tasks;
          std::vector<int> told(200);
          {
            WaitSet set(pool.exchange().hub);
            for (std::size_t i = 0; i < told.size(); ++i) {
              tasks.push_back(pool.submit(Count::run, Count{&counts, user * 200 + i}));
              set.add(tasks.back().handle(), i);
            }
            while (set.size() > 0) ++told[*set.next(std::chrono::microseconds(20), std::nullopt)];
          }
          for (std::size_t i = 0; i < told.size(); ++i) {
            if (told[i] != 1 || !tasks[i].is_ready()) is_sound = false;
          }
        }
      });
    }
    for (auto& user : users) user.join();
  }
  CHECK(is_sound);
  CHECK(std::all_of(counts.begin(), counts.end(), [&](const auto& count) { return count.load() == rounds; }));
}
