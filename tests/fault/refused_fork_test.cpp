// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <climits>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"

using procpool::BrokenPool;
using procpool::ProcessPool;
using procpool::WorkerDied;

namespace {

int refusals = 0;  // how many forks of this process fail from now on

}  // namespace

/// The C library's, but for what a test has it refuse.
extern "C" ::pid_t fork() {
  if (refusals > 0) {
    --refusals;
    ::usleep(2000);  // sleeps: as long as it takes in a large process, so that the pool hears of each by itself
    errno = EAGAIN;
    return -1;
  }
  static const auto real = reinterpret_cast<::pid_t (*)()>(::dlsym(RTLD_NEXT, "fork"));
  return real();
}

TEST_CASE("a pool whose workers are refused for a moment has them later") {
  ProcessPool pool{{.workers = 16, .preload = [] { refusals = 16; }}};
  CHECK(pool.submit([](int n) { return n + 1; }, 41).get() == 42);
}

TEST_CASE("a pool that the system gives no worker is broken, and says so") {
  ProcessPool pool{{.workers = 2, .preload = [] { refusals = INT_MAX; }}};
  CHECK_THROWS_WITH(pool.submit([] {}).get(), Catch::Matchers::ContainsSubstring("refuses to make one"));
  CHECK_THROWS_AS(pool.submit([] {}), BrokenPool);
}

TEST_CASE("deaths are noticed in a pool that has no descriptor left for them") {
  const auto leave_no_descriptor = [] {
    const rlimit standard_streams{3, 3};
    ::setrlimit(RLIMIT_NOFILE, &standard_streams);
  };
  ProcessPool pool{{.workers = 1, .preload = leave_no_descriptor}};
  for (int i = 0; i < 3; ++i) {
    CHECK(pool.submit([](int n) { return n; }, i).get() == i);
    CHECK_THROWS_AS(pool.submit([] { ::raise(SIGKILL); }).get(), WorkerDied);
  }
}
