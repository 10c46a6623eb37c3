// SPDX-License-Identifier: BSL-1.0

/// @file
/// How often workers are woken: the kernel counts how often each has gone to sleep.

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <procpool/detail/os/read_file.hpp>
#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/tasks.hpp"

using procpool::Future;
using procpool::ProcessPool;
using procpool::WaitPolicy;
using support::same;

namespace {

constexpr int tasks = 500;

[[nodiscard]] long sleeps_of(::pid_t pid) {
  constexpr std::string_view name = "\nvoluntary_ctxt_switches:";
  const std::string status = procpool::detail::read_file("/proc/" + std::to_string(pid) + "/status");
  const std::size_t place = status.find(name);
  REQUIRE(place != std::string::npos);
  return std::atol(status.c_str() + place + name.size());
}

[[nodiscard]] long sleeps_of(const std::vector<::pid_t>& workers) {
  long sum = 0;
  for (const ::pid_t worker : workers) sum += sleeps_of(worker);
  return sum;
}

void one_at_a_time(ProcessPool<>& pool) {
  for (int i = 0; i < tasks; ++i) CHECK(pool.submit(same, i).get() == i);
}

void all_at_once(ProcessPool<>& pool) {
  std::vector<Future<int>> futures;
  for (int i = 0; i < tasks; ++i) futures.push_back(pool.submit(same, i));
  for (int i = 0; i < tasks; ++i) CHECK(futures[static_cast<std::size_t>(i)].get() == i);
}

}  // namespace

TEST_CASE("a task wakes no more workers in a pool of many than in a pool of few") {
  void (*send)(ProcessPool<>&) = nullptr;
  SECTION("one task at a time") { send = one_at_a_time; }
  SECTION("all at once") { send = all_at_once; }
  for (const int workers : {1, 2, 8, 64}) {
    ProcessPool pool{{.workers = workers, .wait = WaitPolicy::block}};
    const std::vector<::pid_t> pids = pool.run_on_each_worker(support::pid_of_worker);
    const long before = sleeps_of(pids);
    const auto begin = std::chrono::steady_clock::now();
    send(pool);
    pool.wait_idle();
    const long sleeps = sleeps_of(pids) - before;
    // A submit wakes one worker, and so does one that was woken and finds that there is more to do. Each worker may
    // have been on its way to sleep at the beginning, and at a tick of the supervisor all may be woken.
    constexpr std::chrono::milliseconds tick{20};
    const long ticks = (std::chrono::steady_clock::now() - begin) / tick + 2;
    INFO(workers << " workers, " << ticks << " ticks");
    CHECK(sleeps > 0);
    CHECK(sleeps <= 2 * tasks + workers * ticks);
  }
}
