// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/address_space.hpp"
#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/leftovers.hpp"
#include "../support/namespaces.hpp"
#include "../support/tasks.hpp"
#include "../support/user_process.hpp"

using procpool::BrokenPool;
using procpool::PoolOptions;
using procpool::ProcessPool;
using procpool::SharedMemoryExhausted;
using procpool::WorkerDied;
using support::kill_worker;
using support::mebi;
using support::text_of;
using support::twice;
using support::UserProcess;

namespace {

/// The soft limit alone, so that it can be raised again.
void limit(__rlimit_resource_t resource, ::rlim_t value) {
  rlimit now{};
  ::getrlimit(resource, &now);
  now.rlim_cur = value;
  ::setrlimit(resource, &now);
}

/// Whether a pool does all that it is for.
bool works(const ProcessPool<>& pool) {
  try {
    pool.submit(kill_worker).get();
    return false;
  } catch (const WorkerDied&) {
  }
  auto late = pool.with({.timeout = std::chrono::milliseconds(5), .grace = {}}).submit([] {
    for (;;) ::pause();
  });
  if (!late.exception()) return false;
  return pool.submit(text_of, mebi).get() == std::string(mebi, 'x') &&
         pool.map(twice, std::vector{1, 2, 3}) == std::vector{2, 4, 6};
}

/// Becomes a user who has no other process, and whose processes the system counts.
bool become_a_user() {
  const auto nobody_elses = static_cast<::uid_t>(20'000 + ::getpid() % 40'000);
  return ::setgid(nobody_elses) == 0 && ::setuid(nobody_elses) == 0 && ::setuid(0) != 0;
}

/// With ever higher limits, until a pool is neither refused nor broken that is made below it. What each refusal says;
/// empty: the pool did not work.
template <class SetLimit>
std::vector<std::string> refusals_until_it_works(SetLimit set_limit, const PoolOptions& options) {
  std::vector<std::string> refusals;
  for (int step = 0; step < 64; ++step) {
    set_limit(step);
    try {
      const ProcessPool pool{options};
      return works(pool) ? refusals : std::vector<std::string>();
    } catch (const std::system_error& refusal) {
      refusals.emplace_back(refusal.what());
    } catch (const procpool::BrokenPool& broken) {
      refusals.emplace_back(broken.what());
    }
  }
  return {};
}

}  // namespace

TEST_CASE("a pool that has no room for its processes is refused or broken, with the reason, until there is room") {
  UserProcess user([] {
    if (!become_a_user()) return support::not_allowed_here;
    const auto leave_room_for = [](int processes) { limit(RLIMIT_NPROC, static_cast<::rlim_t>(processes)); };
    const auto refusals = refusals_until_it_works(leave_room_for, {.workers = 2});
    for (const std::string& what : refusals) {
      if (what.find("Resource temporarily unavailable") == std::string::npos) {
        std::fprintf(stderr, "refused: %s\n", what.c_str());
        return 1;
      }
    }
    return refusals.empty() ? 2 : 0;
  });
  const int status = user.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == support::not_allowed_here) {
    support::skip_case("this user may not become another, and limits of processes do not bind every user");
    return;
  }
  CHECK(status == 0);
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a dead worker for which its user may have no other process is replaced when there may be one more") {
  UserProcess user([] {
    if (!become_a_user()) return support::not_allowed_here;
    ProcessPool pool{2};
    static_cast<void>(support::pids_of(pool));
    const ::pid_t zygote = support::zygote_of(pool);
    const auto limit_zygote = [zygote](::rlim_t processes) {
      rlimit most{};
      ::getrlimit(RLIMIT_NPROC, &most);
      most.rlim_cur = std::min(processes, most.rlim_max);
      return ::prlimit(zygote, RLIMIT_NPROC, &most, nullptr) == 0;
    };
    if (!limit_zygote(1)) return 1;
    const auto has_died = [&] {
      try {
        pool.submit(kill_worker).get();
      } catch (const WorkerDied&) {
        return true;
      }
      return false;
    };
    if (!has_died()) return 2;
    if (pool.map(twice, std::vector{1, 2, 3}) != std::vector{2, 4, 6}) return 3;  // by the one that is left
    if (!limit_zygote(RLIM_INFINITY)) return 4;
    static_cast<void>(support::pids_of(pool));  // Both are there.
    if (!works(pool)) return 5;
    static_cast<void>(support::pids_of(pool));
    if (!limit_zygote(1)) return 6;
    for (int i = 0; i < 2; ++i) {
      if (!has_died()) return 7;
    }
    try {
      pool.submit(twice, 1).get();
      return 8;
    } catch (const BrokenPool& broken) {
      return std::string(broken.what()).find("Resource temporarily unavailable") != std::string::npos ? 0 : 9;
    }
  });
  const int status = user.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == support::not_allowed_here) {
    support::skip_case("this user may not become another, and limits of processes do not bind every user");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a pool that finds too few descriptors is refused with the reason, until it finds enough, and leaves none") {
  if (support::is_sanitized) {
    support::skip_case("a sanitizer needs descriptors of its own, to look at memory");
    return;
  }
  UserProcess user([] {
    ::close_range(3, ~0U, 0);
    const auto leave_descriptors = [](int number) { limit(RLIMIT_NOFILE, 3 + static_cast<::rlim_t>(number)); };
    const auto refusals = refusals_until_it_works(leave_descriptors, {.workers = 2});
    for (const std::string& what : refusals) {
      if (what.find("Too many open files") == std::string::npos) return 1;
    }
    if (refusals.empty() || refusals.size() > 8) return 2;
    const int next = ::dup(0);  // the lowest that is free
    return next == 3 ? 0 : 3;
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
  CHECK(support::kin_that_stays() == "");
}

TEST_CASE("a pool goes on when the user's process has used up all its descriptors") {
  if (support::is_sanitized) {
    support::skip_case("a sanitizer needs descriptors of its own, to look at memory");
    return;
  }
  UserProcess user([] {
    ProcessPool pool{2};
    limit(RLIMIT_NOFILE, 64);
    while (::dup(0) >= 0) {
    }
    if (!works(pool)) return 1;
    pool.resize(3);
    return works(pool) ? 0 : 2;
  });
  CHECK(user.wait() == 0);
}

TEST_CASE("a pool takes no more than its share of a low limit of the address space, and works") {
  if (support::is_sanitized) {
    support::skip_case("a sanitizer has reserved more of the address space than any limit");
    return;
  }
  UserProcess user([] {
    limit(RLIMIT_AS, support::address_space_in_use() + 512 * mebi);
    ProcessPool pool{2};
    if (!works(pool)) return 1;
    std::optional<ProcessPool<>> second(std::in_place, 1);
    return works(*second) && works(pool) ? 0 : 2;
  });
  CHECK(user.wait() == 0);
}

TEST_CASE("a pool for which the address space or the largest file is too small says which, and what to do") {
  for (const auto& [resource, name] : {std::pair(RLIMIT_AS, "RLIMIT_AS"), std::pair(RLIMIT_FSIZE, "RLIMIT_FSIZE")}) {
    if (resource == RLIMIT_AS && support::is_sanitized) continue;
    UserProcess user([resource = resource, name = std::string(name)] {
      limit(resource, resource == RLIMIT_AS ? support::address_space_in_use() + 8 * mebi : 4096);
      try {
        const ProcessPool pool{2};
        return 1;
      } catch (const SharedMemoryExhausted& refusal) {
        return std::string(refusal.what()).find(name) != std::string::npos ? 0 : 2;
      }
    });
    CHECK(user.wait() == 0);
  }
}

TEST_CASE("a pool whose largest file is limited works within it, and a task's own file ends its worker alone") {
  UserProcess user([] {
    limit(RLIMIT_FSIZE, 64 * mebi);
    ProcessPool pool{2};
    if (!works(pool)) return 1;
    limit(RLIMIT_FSIZE, 4096);  // What was reserved stays.
    if (!works(pool) || pool.submit(text_of, 8 * mebi).get().size() != 8 * mebi) return 2;
    try {
      pool.submit([] {
            limit(RLIMIT_FSIZE, 4096);
            const int file = ::fileno(std::tmpfile());
            return ::ftruncate(file, 8192);
          })
          .get();
      return 3;
    } catch (const WorkerDied& death) {
      return death.signal() == SIGXFSZ && works(pool) ? 0 : 4;
    }
  });
  const int status = user.wait();
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
}
