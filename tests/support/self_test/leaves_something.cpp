// SPDX-License-Identifier: BSL-1.0

/// @file
/// Test cases that break the rules, each in one way, to be caught by the listener or the watcher.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "../catch.hpp"
#include "../leftovers.hpp"
#include "../patience.hpp"

namespace {

[[noreturn]] void wait_for_ever() {
  for (;;) ::pause();
}

}  // namespace

TEST_CASE("leaves nothing") { CHECK(::getpid() != 0); }

TEST_CASE("leaves a child that goes at once") {
  ::signal(SIGCHLD, SIG_IGN);  // So that nobody need wait for it.
  if (::fork() == 0) ::execlp("true", "true", nullptr);
  CHECK(true);
}

TEST_CASE("leaves a child") {
  if (::fork() == 0) wait_for_ever();
  CHECK(true);
}

TEST_CASE("leaves a zombie") {
  if (::fork() == 0) ::_exit(0);
  CHECK(true);
}

TEST_CASE("leaves an orphan") {
  ::signal(SIGCHLD, SIG_IGN);  // So that the orphan alone is left.
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  if (::fork() == 0) {
    ::setsid();
    if (::fork() == 0) {
      [[maybe_unused]] const auto written = ::write(ready[1], "x", 1);
      wait_for_ever();
    }
    ::_exit(0);
  }
  char byte = 0;
  CHECK(::read(ready[0], &byte, 1) == 1);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("leaves a descriptor") { CHECK(::open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0); }

TEST_CASE("leaves shared memory") {
  const char* const folder = std::getenv("PROCPOOL_TEST_SHARED_MEMORY");  // in place of /dev/shm
  REQUIRE(folder != nullptr);
  const int descriptor = ::creat((std::string(folder) + "/left").c_str(), 0600);
  REQUIRE(descriptor >= 0);
  ::close(descriptor);
}

TEST_CASE("hangs") { wait_for_ever(); }

TEST_CASE("crashes") { ::raise(SIGSEGV); }

TEST_CASE("cannot run here") { support::skip_case("there is no such machine"); }

TEST_CASE("cannot run here and fails") {
  support::skip_case("there is no such machine");
  CHECK(support::longest_case().count() < 0);
}

TEST_CASE("fails") { CHECK(support::longest_case().count() < 0); }
