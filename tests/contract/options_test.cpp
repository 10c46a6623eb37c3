// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/address_space.hpp"
#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/leftovers.hpp"
#include "../support/namespaces.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"
#include "../support/user_process.hpp"

using Catch::Matchers::ContainsSubstring;
using procpool::PoolOptions;
using procpool::ProcessPool;
using procpool::UsageError;
using procpool::WaitPolicy;
using support::eventually;
using support::same;
using support::SharedCount;

TEST_CASE("the number of workers may be of any integral type but bool") {
  CHECK(ProcessPool(2).workers().size() == 2);
  CHECK(ProcessPool(short{2}).workers().size() == 2);
  CHECK(ProcessPool(2U).workers().size() == 2);
  CHECK(ProcessPool(std::size_t{2}).workers().size() == 2);
  CHECK(ProcessPool(std::int64_t{2}).workers().size() == 2);
  int count = 2;
  ProcessPool pool{count};
  CHECK(pool.workers().size() == 2);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<ProcessPool<>, bool>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<ProcessPool<>, double>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<int, ProcessPool<>>);
}

TEST_CASE("a pool of no given size has a worker for each usable CPU") {
  const auto cpus = static_cast<std::size_t>(procpool::usable_cpus());
  CHECK(ProcessPool().workers().size() == cpus);
  CHECK(ProcessPool(0).workers().size() == cpus);
  CHECK(ProcessPool(PoolOptions{}).workers().size() == cpus);
}

TEST_CASE("a number of workers that makes no sense is a mistake that is named") {
  CHECK_THROWS_AS(ProcessPool(-1), UsageError);
  CHECK_THROWS_WITH(ProcessPool(-1), ContainsSubstring("workers is -1"));
  CHECK_THROWS_AS(ProcessPool(std::int64_t{-1}), UsageError);
  CHECK_THROWS_AS(ProcessPool(1'000'000), UsageError);
  CHECK_THROWS_AS(ProcessPool(std::numeric_limits<std::size_t>::max()), UsageError);
  CHECK_THROWS_AS(ProcessPool(std::numeric_limits<std::int64_t>::min()), UsageError);
  CHECK_THROWS_AS(ProcessPool(PoolOptions{.workers = -1}), UsageError);
  CHECK_THROWS_AS((ProcessPool{-1, [] { return 1; }}), UsageError);
}

TEST_CASE("an option that makes no sense is a mistake that is named") {
  CHECK_THROWS_WITH(ProcessPool(PoolOptions{.queue_capacity = 0}), ContainsSubstring("queue_capacity is 0"));
  CHECK_THROWS_AS(ProcessPool(PoolOptions{.queue_capacity = -1}), UsageError);
  CHECK_THROWS_AS(ProcessPool(PoolOptions{.queue_capacity = INT_MAX}), UsageError);
  CHECK_THROWS_WITH(ProcessPool(PoolOptions{.max_tasks_per_worker = -1}),
                    ContainsSubstring("max_tasks_per_worker is -1"));
  CHECK_THROWS_WITH(ProcessPool(PoolOptions{.library_threads = -2}), ContainsSubstring("library_threads is -2"));
  CHECK_THROWS_AS(ProcessPool(PoolOptions{.shared_memory = 4096}), UsageError);
}

TEST_CASE("the least memory that a pool is made with has room for a result of each of its workers") {
  constexpr std::size_t step = std::size_t{256} << 10;
  for (const int workers : {3, 12}) {
    for (std::size_t memory = step;; memory += step) {
      try {
        ProcessPool pool{{.workers = workers, .queue_capacity = 64, .shared_memory = memory}};
        CHECK(pool.run_on_each_worker([] { return std::string(100, 'x'); }).size() == std::size_t(workers));
        break;
      } catch (const UsageError&) {  // It is too little.
      }
    }
  }
}

TEST_CASE("a pool works with every policy of waiting") {
  for (const WaitPolicy policy : {WaitPolicy::spin, WaitPolicy::balanced, WaitPolicy::block}) {
    ProcessPool pool{{.workers = 2, .wait = policy}};
    CHECK(pool.map(same, std::vector{1, 2, 3}) == std::vector{1, 2, 3});
    CHECK(pool.submit(same, 4).get() == 4);
  }
}

TEST_CASE("pinned workers have one CPU each, and those that replace them the same") {
  const auto usable_here = [] {
    cpu_set_t cpus;
    ::sched_getaffinity(0, sizeof cpus, &cpus);
    std::vector<int> usable;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &cpus)) usable.push_back(cpu);
    }
    return usable;
  };
  const std::vector<int> usable = usable_here();
  ProcessPool pinned{{.workers = 3, .pin_workers = true}};
  const auto places = pinned.run_on_each_worker(usable_here);
  for (std::size_t i = 0; i < places.size(); ++i) CHECK(places[i] == std::vector{usable[i % usable.size()]});
  CHECK_THROWS_AS(pinned.run_on_each_worker([] { ::raise(SIGKILL); }), procpool::WorkerDied);
  CHECK(pinned.run_on_each_worker(usable_here) == places);
  ProcessPool free{1};
  CHECK(free.submit(usable_here).get() == usable);
}

TEST_CASE("each worker has the limits that were asked for, and this process has not") {
  const auto limit_of = [](int resource) {
    rlimit limit{};
    ::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
    return static_cast<std::size_t>(limit.rlim_cur);
  };
  const std::size_t files_here = limit_of(RLIMIT_NOFILE);
  const std::size_t address_space = support::address_space_in_use() + (std::size_t{1} << 40);
  ProcessPool pool{{.workers = 1,
                    .limits = {.address_space = address_space, .cpu_seconds = 1000, .open_files = 64, .core_size = 0}}};
  CHECK(pool.submit(limit_of, static_cast<int>(RLIMIT_NOFILE)).get() == 64);
  CHECK(pool.submit(limit_of, static_cast<int>(RLIMIT_CPU)).get() == 1000);
  CHECK(pool.submit(limit_of, static_cast<int>(RLIMIT_AS)).get() == address_space);
  CHECK(limit_of(RLIMIT_NOFILE) == files_here);
}

TEST_CASE("a worker may leave a core dump as large as was asked for, else as this process may") {
  support::UserProcess user([] {
    rlimit here{};
    ::getrlimit(RLIMIT_CORE, &here);
    here.rlim_cur = 8192;
    if (::setrlimit(RLIMIT_CORE, &here) != 0) return support::not_allowed_here;
    const auto limit_of_cores = [] {
      rlimit limit{};
      ::getrlimit(RLIMIT_CORE, &limit);
      return limit.rlim_cur;
    };
    if (ProcessPool(1).submit(limit_of_cores).get() != 8192) return 1;
    const ProcessPool pool{{.workers = 1, .limits = {.core_size = 4096}}};
    return pool.submit(limit_of_cores).get() == 4096 && limit_of_cores() == 8192 ? 0 : 2;
  });
  const int status = user.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == support::not_allowed_here) {
    support::skip_case("this user may not raise the limit of core dumps");
    return;
  }
  CHECK(status == 0);
}

TEST_CASE("a task that uses up the CPU time of its worker ends it by SIGXCPU, and the next has its own") {
  ProcessPool pool{{.workers = 1, .limits = {.cpu_seconds = 1}}};
  auto endless = pool.submit([] {
    for (volatile bool is_over = false; !is_over;) {
    }
  });
  CHECK(support::death_of(std::move(endless)).signal() == SIGXCPU);
  CHECK(pool.submit(same, 1).get() == 1);
}

TEST_CASE("an allocation beyond the limit of a worker is an exception of its task") {
  const std::size_t pool_memory = std::size_t{64} << 20;
  const std::size_t limit = std::size_t{2} << 30;
  if (support::is_sanitized) {
    WARN("a sanitizer has reserved more address space than that, and ends a process refused memory");
    return;
  }
  ProcessPool pool{{.workers = 1, .shared_memory = pool_memory, .limits = {.address_space = limit}}};
  auto greedy = pool.submit([](std::size_t bytes) { return std::vector<char>(bytes).size(); }, 2 * limit);
  CHECK_THROWS_AS(greedy.get(), std::bad_alloc);
  CHECK(pool.submit(same, 1).get() == 1);
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("a library with threads of its own is told how many to use in a worker") {
  const std::unique_ptr<void, int (*)(void*)> openmp(::dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE),
                                                     ::dlclose);
  if (openmp == nullptr) {
    support::skip_case("GCC's OpenMP is not installed");
    return;
  }
  static const auto threads = reinterpret_cast<int (*)()>(::dlsym(openmp.get(), "omp_get_max_threads"));
  reinterpret_cast<void (*)(int)>(::dlsym(openmp.get(), "omp_set_num_threads"))(7);
  const auto ask = [] { return threads(); };
  ProcessPool one{1};
  CHECK(one.submit(ask).get() == 1);
  ProcessPool three{{.workers = 1, .library_threads = 3}};
  CHECK(three.submit(ask).get() == 3);
  ProcessPool alone{{.workers = 1, .library_threads = 0}};
  CHECK(alone.submit(ask).get() == 7);
  CHECK(threads() == 7);
}

TEST_CASE("a parallel region of OpenMP ends in a worker, though the user's process had threads for one before") {
  support::UserProcess user([] {
    void* const openmp = ::dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL);
    if (openmp == nullptr) return support::not_allowed_here;
    using Region = void (*)(void (*)(void*), void*, unsigned threads, unsigned flags);
    static const auto run_region = reinterpret_cast<Region>(::dlsym(openmp, "GOMP_parallel"));
    const auto threads_of_a_region = [] {
      std::atomic<int> threads{0};
      run_region([](void* count) { ++*static_cast<std::atomic<int>*>(count); }, &threads, 0, 0);
      return threads.load();
    };
    reinterpret_cast<void (*)(int)>(::dlsym(openmp, "omp_set_num_threads"))(4);
    if (threads_of_a_region() != 4) return 1;
    ProcessPool pool{1};
    auto threads = pool.submit(threads_of_a_region);
    if (!threads.wait_for(std::chrono::seconds(20))) ::_exit(2);  // The pool would wait for it.
    return threads.get() == 1 ? 0 : 3;
  });
  const int status = user.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == support::not_allowed_here) {
    support::skip_case("GCC's OpenMP is not installed");
    return;
  }
  CHECK(status == 0);
}

TEST_CASE("a worker is replaced after as many tasks as it may run") {
  ProcessPool pool{{.workers = 1, .max_tasks_per_worker = 3}};
  std::vector<::pid_t> pids;
  for (int i = 0; i < 9; ++i) pids.push_back(pool.submit(::getpid).get());
  CHECK(std::set(pids.begin(), pids.end()).size() == 3);
  for (std::size_t i = 0; i < 9; ++i) CHECK(pids[i] == pids[i - i % 3]);
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("a backlog is worked off by workers that are replaced again and again") {
  for (const int most : {1, 2, 5}) {
    CAPTURE(most);
    const SharedCount done;
    ProcessPool pool{{.workers = 2, .max_tasks_per_worker = most}};
    std::vector<procpool::Future<int>> futures;
    for (int i = 0; i < 50; ++i) futures.push_back(pool.submit([done = done.get()] { return ++*done; }));
    pool.close();
    pool.join();
    CHECK(done->load() == 50);
  }
}

TEST_CASE("a map goes on over workers that are replaced again and again") {
  ProcessPool pool{{.workers = 2, .max_tasks_per_worker = 1}};
  const std::vector<int> items(30, 1);
  CHECK(pool.with({.chunk_size = 1}).map(same, items) == items);
  CHECK(pool.stats().worker_deaths == 0);
}

TEST_CASE("a pool may have far more workers than there are CPUs") {
  ProcessPool pool{{.workers = 100, .wait = WaitPolicy::block}};
  const auto pids = pool.run_on_each_worker(::getpid);
  CHECK(std::set(pids.begin(), pids.end()).size() == 100);
  CHECK(pool.map(same, std::vector(1000, 1)) == std::vector(1000, 1));
}

TEST_CASE("a small shared memory suffices for small tasks") {
  ProcessPool pool{{.workers = 2, .queue_capacity = 64, .shared_memory = std::size_t{16} << 20}};
  std::vector<procpool::Future<int>> futures;
  for (int i = 0; i < 1000; ++i) futures.push_back(pool.submit(same, i));
  for (int i = 0; i < 1000; ++i) REQUIRE(futures[static_cast<std::size_t>(i)].get() == i);
}
