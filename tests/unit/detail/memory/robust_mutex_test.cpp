// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

#include <boost/interprocess/sync/scoped_lock.hpp>

#include <procpool/detail/memory/robust_mutex.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/in_child.hpp"
#include "../../../support/shared_page.hpp"

using procpool::OwnerDied;
using procpool::detail::LockResult;
using procpool::detail::RobustMutex;

namespace {

using SharedMutex = support::Shared<RobustMutex>;

/// A child locks the mutex and dies by SIGKILL.
void die_holding(RobustMutex& mutex) {
  const ::pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(mutex.lock_reporting());
    ::raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

}  // namespace

TEST_CASE("a robust mutex shuts other processes out until it is unlocked") {
  const SharedMutex mutex;
  REQUIRE(mutex->lock_reporting() == LockResult::acquired);
  CHECK(true_in_child([&] { return mutex->try_lock_reporting() == LockResult::busy && !mutex->try_lock(); }));
  mutex->unlock();
  CHECK(true_in_child([&] { return mutex->try_lock(); }));  // The child ends holding it.
}

TEST_CASE("the next to lock after the death of the owner is told once, and then it is a mutex like before") {
  const SharedMutex mutex;
  SECTION("by waiting") {
    die_holding(*mutex);
    CHECK(mutex->lock_reporting() == LockResult::acquired_from_dead_owner);
  }
  SECTION("by trying") {
    die_holding(*mutex);
    CHECK(mutex->try_lock_reporting() == LockResult::acquired_from_dead_owner);
  }
  SECTION("twice in a row") {
    die_holding(*mutex);
    die_holding(*mutex);
    CHECK(mutex->try_lock_reporting() == LockResult::acquired_from_dead_owner);
  }
  mutex->unlock();
  CHECK(mutex->lock_reporting() == LockResult::acquired);
  CHECK(true_in_child([&] { return mutex->try_lock_reporting() == LockResult::busy; }));
  mutex->unlock();
}

TEST_CASE("a lock that reports by throwing leaves the mutex free and says OwnerDied once") {
  const SharedMutex mutex;
  die_holding(*mutex);
  SECTION("std::unique_lock") {
    std::unique_lock lock(*mutex, std::defer_lock);
    CHECK_THROWS_AS(lock.lock(), OwnerDied);
    CHECK_NOTHROW(lock.lock());
  }
  SECTION("boost::interprocess::scoped_lock") {
    using Lock = boost::interprocess::scoped_lock<RobustMutex>;
    CHECK_THROWS_AS(Lock(*mutex), OwnerDied);
    CHECK_NOTHROW(Lock(*mutex));
  }
  SECTION("try_lock") {
    CHECK_THROWS_AS(mutex->try_lock(), OwnerDied);
    REQUIRE(mutex->try_lock());
    mutex->unlock();
  }
}

TEST_CASE("one who waits for a robust mutex gets it when its owner dies") {
  const SharedMutex mutex;
  const support::SharedGate gate;
  const ::pid_t owner = ::fork();
  if (owner == 0) {
    static_cast<void>(mutex->lock_reporting());
    gate->pass();
    ::raise(SIGKILL);
  }
  REQUIRE(gate->is_reached_by(1));
  LockResult result = LockResult::busy;
  std::thread waiter([&] {
    result = mutex->lock_reporting();
    mutex->unlock();
  });
  gate->open();
  waiter.join();
  CHECK(result == LockResult::acquired_from_dead_owner);
  CHECK(::waitpid(owner, nullptr, 0) == owner);
}

TEST_CASE("trying a robust mutex with any one byte ruined neither hangs nor crashes") {
  for (std::size_t at = 0; at < sizeof(RobustMutex); ++at) {
    for (const int value : {0x00, 0x01, 0x40, 0x7F, 0x80, 0xC0, 0xFF}) {
      for (const bool is_held : {false, true}) {
        const SharedMutex mutex;
        const bool has_come_back = true_in_child([&] {
          ::alarm(20);
          if (is_held) static_cast<void>(mutex->lock_reporting());
          reinterpret_cast<unsigned char*>(mutex.get())[at] = static_cast<unsigned char>(value);
          return true_in_child([&] {
            const LockResult result = mutex->try_lock_reporting();
            if (result == LockResult::acquired || result == LockResult::acquired_from_dead_owner) mutex->unlock();
            mutex->initialize();
            return mutex->try_lock_reporting() == LockResult::acquired;
          });
        });
        if (!has_come_back) FAIL("byte " << at << " set to " << value << ", held: " << is_held);
      }
    }
  }
}

TEST_CASE("a robust mutex whose kind is ruined is damaged for all who lock it") {
  const SharedMutex mutex;
  std::memset(static_cast<void*>(mutex.get()), 0, sizeof(RobustMutex));
  CHECK(mutex->try_lock_reporting() == LockResult::damaged);
  CHECK(mutex->lock_reporting() == LockResult::damaged);
  CHECK_THROWS_AS(mutex->lock(), std::system_error);
  CHECK_FALSE(mutex->try_lock());
  mutex->initialize();
  CHECK(mutex->lock_reporting() == LockResult::acquired);
  mutex->unlock();
}
