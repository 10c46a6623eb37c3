// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/deaths.hpp"
#include "../support/leftovers.hpp"
#include "../support/namespaces.hpp"
#include "../support/shared_page.hpp"
#include "../support/tasks.hpp"
#include "../support/user_process.hpp"

using procpool::Future;
using procpool::ProcessPool;
using procpool::SharedMemoryExhausted;
using procpool::WorkerDied;
using support::for_ever;
using support::mebi;
using support::size_of;
using support::text_of;
using support::twice;
using support::UserProcess;

namespace {

/// Which commits of memory the system refuses, to this process and all that descend from it.
struct CommitPlan {
  std::atomic<int> granted{for_ever};  // the next ones, which succeed; the others fail
  std::atomic<int> refused{0};         // so far
};
CommitPlan& commit_plan() {
  static const support::Shared<CommitPlan> shared;
  return *shared;
}

bool works_with(const ProcessPool<>& pool, std::size_t bytes) {
  try {
    pool.submit([] { ::raise(SIGKILL); }).get();
    return false;
  } catch (const WorkerDied&) {
  }
  return pool.map(twice, std::vector{1, 2, 3}) == std::vector{2, 4, 6} &&
         pool.submit(size_of, std::string(bytes, 'x')).get() == bytes &&
         pool.submit(text_of, bytes).get() == std::string(bytes, 'x');
}

/// `program()` in a user's process that may mount what it likes; empty if there is no such process here.
template <class Program>
void check_with_own_mounts(Program program) {
  UserProcess user([program] {
    if (!support::leave_the_mounts_of_the_system()) return support::not_allowed_here;
    return program();
  });
  const int status = user.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == support::not_allowed_here) {
    support::skip_case("no file system can be mounted here");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(status == 0);
}

/// Bytes that the system has promised to all of its processes together.
std::size_t promised_memory() {
  std::ifstream facts("/proc/meminfo");
  std::size_t kilobytes = 0;
  for (std::string name; facts >> name;) {
    if (name == "Committed_AS:" && facts >> kilobytes) break;
  }
  return kilobytes << 10;
}

}  // namespace

/// The C library's, but for what a test has it refuse.
extern "C" int fallocate(int fd, int mode, ::off_t offset, ::off_t length) {
  if (commit_plan().granted != for_ever && commit_plan().granted-- <= 0) {
    commit_plan().granted = 0;
    ++commit_plan().refused;
    errno = ENOSPC;
    return -1;
  }
  static const auto real = reinterpret_cast<int (*)(int, int, ::off_t, ::off_t)>(::dlsym(RTLD_NEXT, "fallocate"));
  return real(fd, mode, offset, length);
}

TEST_CASE("a pool works where /dev/shm is full") {
  check_with_own_mounts([] {
    if (::mount("shm", "/dev/shm", "tmpfs", 0, "size=4k") != 0) return support::not_allowed_here;
    const int file = ::open("/dev/shm/large", O_CREAT | O_WRONLY, 0600);
    const std::array<char, 4096> page{};
    while (::write(file, page.data(), page.size()) > 0) {
    }
    if (errno != ENOSPC) return 1;
    ProcessPool pool{2};
    return works_with(pool, 80 * mebi) ? 0 : 2;
  });
}

TEST_CASE("a pool works where there is no /dev/shm, nor any other device") {
  check_with_own_mounts([] {
    if (::mount("nothing", "/dev", "tmpfs", 0, "size=4k") != 0) return support::not_allowed_here;
    if (::access("/dev/shm", F_OK) == 0 || ::access("/dev/null", F_OK) == 0) return 1;
    ProcessPool pool{2};
    return works_with(pool, 80 * mebi) ? 0 : 2;
  });
}

TEST_CASE("what a pool reserves is not counted as promised, so that a system which promises no more lets it be") {
  constexpr std::size_t much = std::size_t{64} << 30;
  const std::size_t before = promised_memory();
  REQUIRE(before > 0);
  const ProcessPool pool{{.workers = 2, .shared_memory = much}};  // If it were counted, most systems would refuse it.
  CHECK(promised_memory() < before + much / 2);                   // Others come and go meanwhile.
  CHECK(works_with(pool, mebi));
}

TEST_CASE("a pool that the system gives no memory is not made, and says so") {
  int granted = 0;
  for (bool is_made = false; !is_made; ++granted) {
    REQUIRE(granted < 100);
    commit_plan().granted = granted;
    try {
      const ProcessPool pool{{.workers = 2, .shared_memory = 64 * mebi}};
      is_made = true;
      commit_plan().granted = for_ever;
      CHECK(works_with(pool, mebi));
    } catch (const SharedMemoryExhausted& refusal) {
      CHECK_THAT(refusal.what(), Catch::Matchers::ContainsSubstring("the system has no memory"));
    }
    commit_plan().granted = for_ever;
  }
  CHECK(granted > 1);
}

TEST_CASE("an argument or a result for which the system has no memory fails alone, and later ones find it") {
  ProcessPool pool{{.workers = 1, .shared_memory = 512 * mebi}};
  REQUIRE(works_with(pool, mebi));
  for (int round = 0; round < 3; ++round) {
    const int before = commit_plan().refused;
    commit_plan().granted = 0;
    CHECK_THROWS_AS(pool.submit(size_of, std::string(8 * mebi, 'x')), SharedMemoryExhausted);
    CHECK(commit_plan().refused > before);
    const int before_result = commit_plan().refused;
    CHECK_THROWS_AS(pool.submit(text_of, 8 * mebi).get(), SharedMemoryExhausted);
    CHECK(commit_plan().refused > before_result);
    CHECK(pool.submit(twice, 4).get() == 8);
    commit_plan().granted = for_ever;
  }
  CHECK(works_with(pool, 8 * mebi));
  CHECK(support::what_is_left(pool) == "");
}

TEST_CASE("futures for which the system has no memory are refused, and those that are held keep their results") {
  ProcessPool pool{{.workers = 1, .shared_memory = 512 * mebi}};
  std::vector<Future<int>> futures;
  commit_plan().granted = 1;  // for the memory of a few thousand futures
  try {
    for (;;) {
      futures.push_back(pool.submit(twice, static_cast<int>(futures.size())));
      if (futures.size() > 100'000) break;
    }
    FAIL("all were taken");
  } catch (const SharedMemoryExhausted& refusal) {
    CHECK_THAT(refusal.what(),
               Catch::Matchers::ContainsSubstring(std::to_string(futures.size()) + " futures are held"));
  }
  for (std::size_t i = 0; i < futures.size(); ++i) CHECK(futures[i].get() == 2 * static_cast<int>(i));
  commit_plan().granted = for_ever;
  CHECK(works_with(pool, mebi));
}
