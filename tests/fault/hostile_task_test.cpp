// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"

using procpool::ProcessPool;
using procpool::WorkerDied;
using support::mebi;
using support::size_of;
using support::text_of;

namespace {

/// Small and large tasks, results beyond what any worker has committed so far among them.
void check_that_it_works(const ProcessPool<>& pool, std::size_t bytes) {
  CHECK(pool.map([](int x) { return 2 * x; }, std::vector{1, 2, 3, 4}) == std::vector{2, 4, 6, 8});
  CHECK(pool.submit(size_of, std::string(bytes, 'x')).get() == bytes);
  CHECK(pool.submit(text_of, bytes).get() == std::string(bytes, 'x'));
}

}  // namespace

TEST_CASE("threads that a task leaves running disturb no later task, and go with their worker") {
  const support::SharedCount turns;
  ProcessPool pool{1};
  const auto leave_threads = [turns = turns.get()](int threads) {
    for (int i = 0; i < threads; ++i) {
      std::thread([turns] {
        for (;;) {
          const std::vector<std::string> waste(100, std::string(100, 'x'));
          *turns += waste.empty() ? 0 : 1;
          std::this_thread::yield();
        }
      }).detach();
    }
    return ::getpid();
  };
  for (int round = 0; round < 3; ++round) {
    const ::pid_t worker = pool.submit(leave_threads, 3).get();
    const int before = *turns;
    check_that_it_works(pool, mebi);
    CHECK(support::eventually([&] { return *turns > before; }, std::chrono::seconds(20)));  // They do run.
    CHECK(pool.submit([] { return ::getpid(); }).get() == worker);
    CHECK_THROWS_AS(pool.submit([] { ::raise(SIGKILL); }).get(), WorkerDied);
  }
  static_cast<void>(pool.submit(leave_threads, 3).get());
}

TEST_CASE("a worker leaves in order though its task has left a thread that runs, or that waits for ever") {
  for (const bool waits : {false, true}) {
    ProcessPool pool{{.workers = 1, .max_tasks_per_worker = 1}};
    for (int i = 0; i < 5; ++i) {
      pool.submit([waits] {
            std::thread([waits] {
              for (;;) waits ? static_cast<void>(::pause()) : std::this_thread::yield();
            }).detach();
          })
          .get();
    }
    pool.close();
    pool.join();
    CHECK(pool.stats().worker_deaths == 0);
  }
}

TEST_CASE("a task that closes all descriptors loses its own files, and its worker goes on") {
  ProcessPool pool{{.workers = 1, .shared_memory = 512 * mebi}};
  const ::pid_t worker = pool.submit([] { return ::getpid(); }).get();
  for (const unsigned first : {3U, 0U}) {
    CHECK(pool.submit([first] { return ::close_range(first, ~0U, 0); }).get() == 0);
    check_that_it_works(pool, first == 3 ? 8 * mebi : 32 * mebi);
  }
  CHECK(pool.submit([] { return ::getpid(); }).get() == worker);
  CHECK_THROWS_AS(pool.submit([] { ::raise(SIGKILL); }).get(), WorkerDied);
  check_that_it_works(pool, mebi);
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("a file that a task opens after it has closed all descriptors stays as the task has left it") {
  ProcessPool pool{{.workers = 1, .shared_memory = 512 * mebi}};
  const auto close_all_and_fill_up = [] {
    ::close_range(0, ~0U, 0);
    for (int i = 0; i < 64; ++i) static_cast<void>(std::tmpfile());
  };
  const auto largest_file = [] {
    long largest = 0;
    for (int fd = 0; fd < 64; ++fd) {
      struct stat status {};
      if (::fstat(fd, &status) != 0) return LONG_MAX;
      largest = std::max(largest, static_cast<long>(status.st_size + status.st_blocks));
    }
    return largest;
  };
  pool.submit(close_all_and_fill_up).get();
  check_that_it_works(pool, 32 * mebi);
  CHECK(pool.submit(largest_file).get() == 0);
}
