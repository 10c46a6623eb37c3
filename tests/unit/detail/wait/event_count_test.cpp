// SPDX-License-Identifier: BSL-1.0

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <procpool/detail/wait/event_count.hpp>
#include <procpool/detail/wait/spinner.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/shared_page.hpp"

using procpool::detail::EventCount;
using procpool::detail::Spinner;

TEST_CASE("a ring after the key was taken lets the sleeper not sleep at all") {
  EventCount event;
  const auto key = event.key();
  SECTION("ring_one") { event.ring_one(); }
  SECTION("ring_all") { event.ring_all(); }
  event.wait(key);
  SUCCEED();
}

TEST_CASE("a wait without a ring ends with its time") {
  EventCount event;
  const auto begin = std::chrono::steady_clock::now();
  event.wait(event.key(), std::chrono::milliseconds(2));
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(2));
}

TEST_CASE("one ring wakes everyone who sleeps, in this process and in others") {
  struct Meeting {
    EventCount event;
    std::atomic<int> changed{0};
  };
  const support::Shared<Meeting> meeting;
  const auto wait_for_change = [&] {
    for (;;) {
      const auto key = meeting->event.key();
      if (meeting->changed.load() != 0) return;
      meeting->event.wait(key);
    }
  };
  std::vector<::pid_t> children;
  for (int i = 0; i < 3; ++i) {
    children.push_back(::fork());
    if (children.back() == 0) {
      wait_for_change();
      ::_exit(0);
    }
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(wait_for_change);
  meeting->changed = 1;
  meeting->event.ring_all();
  for (auto& thread : threads) thread.join();
  for (const ::pid_t child : children) {
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
}

TEST_CASE("a sleeper that was killed takes no ring away from the others") {
  struct Meeting {
    EventCount event;
    std::atomic<int> changed{0};
  };
  const support::Shared<Meeting> meeting;
  const ::pid_t victim = ::fork();
  if (victim == 0) {
    for (;;) meeting->event.wait(meeting->event.key());
  }
  ::kill(victim, SIGKILL);
  CHECK(::waitpid(victim, nullptr, 0) == victim);
  std::thread sleeper([&] {
    for (;;) {
      const auto key = meeting->event.key();
      if (meeting->changed.load() != 0) return;
      meeting->event.wait(key);
    }
  });
  meeting->changed = 1;
  meeting->event.ring_one();
  sleeper.join();
}

TEST_CASE("a spinner without a budget does not spin, and one with a budget ends") {
  Spinner none(std::chrono::nanoseconds::zero());
  CHECK_FALSE(none.spin());
  const auto begin = std::chrono::steady_clock::now();
  Spinner spinner(std::chrono::microseconds(200));
  while (spinner.spin()) {
  }
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::microseconds(200));
}
