// SPDX-License-Identifier: BSL-1.0

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include <procpool/detail/task/presence.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::Presence;
using procpool::detail::WorkerIndex;

namespace {

struct Workers {
  explicit Workers(std::size_t number) : count(number), presence(memory.data(), number) {}

  [[nodiscard]] std::optional<WorkerIndex> choose_sleeper() { return presence.choose_sleeper(count); }

  std::size_t count;
  alignas(64) std::array<std::byte, 1024> memory{};
  Presence presence;
};

}  // namespace

TEST_CASE("nobody is woken while nobody sleeps, and nobody while somebody looks") {
  Workers workers(3);
  Presence& presence = workers.presence;
  CHECK_FALSE(workers.choose_sleeper());
  CHECK_FALSE(presence.had_sleepers());
  presence.fall_asleep(1);
  CHECK(presence.had_sleepers());
  presence.start_looking(2);
  CHECK_FALSE(workers.choose_sleeper());
  presence.stop_looking(2);
  CHECK(workers.choose_sleeper() == WorkerIndex{1});
  CHECK_FALSE(workers.choose_sleeper());  // The one who was chosen counts as a looker.
  presence.stop_looking(1);
  CHECK_FALSE(presence.had_sleepers());
}

TEST_CASE("once lookers are forgotten a sleeper is woken, and a looker that falls asleep is one again") {
  Workers workers(40);
  Presence& presence = workers.presence;
  for (const WorkerIndex worker : {0U, 39U}) presence.start_looking(worker);
  for (const WorkerIndex worker : {7U, 33U}) presence.fall_asleep(worker);
  presence.forget_lookers();
  CHECK(workers.choose_sleeper() == WorkerIndex{7});
  presence.fall_asleep(0);
  presence.forget_lookers();
  CHECK(workers.choose_sleeper() == WorkerIndex{0});
  presence.forget_lookers();
  CHECK(workers.choose_sleeper() == WorkerIndex{33});
  presence.forget_lookers();
  CHECK_FALSE(presence.had_sleepers());
}

TEST_CASE("those who look are a crowd from the fifth on, and sleepers are none") {
  Workers workers(40);
  Presence& presence = workers.presence;
  for (const WorkerIndex worker : {0U, 7U, 31U, 39U}) presence.start_looking(worker);
  for (const WorkerIndex worker : {1U, 33U}) presence.fall_asleep(worker);
  CHECK_FALSE(presence.was_crowded());
  presence.start_looking(38);
  CHECK(presence.was_crowded());
  presence.fall_asleep(7);
  CHECK_FALSE(presence.was_crowded());
}

TEST_CASE("a worker is idle while it looks or sleeps") {
  Workers workers(40);
  Presence& presence = workers.presence;
  for (const WorkerIndex worker : {0U, 31U, 32U, 39U}) {
    CHECK_FALSE(presence.was_idle(worker));
    presence.start_looking(worker);
    CHECK(presence.was_idle(worker));
    presence.fall_asleep(worker);
    CHECK(presence.was_idle(worker));
    presence.stop_looking(worker);
    CHECK_FALSE(presence.was_idle(worker));
  }
}

TEST_CASE("workers are awake from their arrival until they sleep or leave, and idle ones are seen in every group") {
  Workers workers(40);
  Presence& presence = workers.presence;
  CHECK(presence.were_awake() == 0);
  for (const WorkerIndex worker : {0U, 31U, 32U, 39U}) presence.arrive(worker);
  CHECK(presence.were_awake() == 4);
  for (const WorkerIndex worker : {0U, 31U, 32U, 39U}) {
    CHECK_FALSE(presence.had_idle());
    presence.start_looking(worker);
    CHECK(presence.had_idle());
    CHECK(presence.were_awake() == 4);
    presence.fall_asleep(worker);
    CHECK(presence.had_idle());
    CHECK(presence.were_awake() == 3);
    presence.stop_looking(worker);
    CHECK(presence.were_awake() == 4);
  }
  presence.fall_asleep(39);
  presence.leave(39);
  CHECK_FALSE(presence.had_idle());
  CHECK(presence.were_awake() == 3);
}

TEST_CASE("each of many sleepers can be chosen, in every group, once") {
  for (const std::size_t count : {1U, 31U, 32U, 33U, 64U, 100U}) {
    Workers workers(count);
    for (WorkerIndex worker = 0; worker < count; ++worker) workers.presence.fall_asleep(worker);
    std::set<WorkerIndex> chosen;
    while (const auto sleeper = workers.choose_sleeper()) {
      chosen.insert(*sleeper);
      workers.presence.stop_looking(*sleeper);
    }
    CHECK(chosen.size() == count);
    CHECK(*chosen.rbegin() == count - 1);
  }
}

TEST_CASE("one sleeper is chosen by one of many threads") {
  for (int round = 0; round < 300; ++round) {
    Workers workers(2);
    workers.presence.fall_asleep(0);
    workers.presence.fall_asleep(1);
    std::atomic<int> chosen{0};
    std::vector<std::thread> submitters;
    for (int i = 0; i < 4; ++i) {
      submitters.emplace_back([&] { chosen += workers.choose_sleeper().has_value() ? 1 : 0; });
    }
    for (auto& submitter : submitters) submitter.join();
    if (chosen != 1) FAIL(chosen << " were chosen");
  }
  SUCCEED();
}

TEST_CASE("bits of workers that do not exist are not believed") {
  Workers workers(5);
  for (const int byte : {0xE0, 0xFF}) {
    std::memset(workers.memory.data(), 0, workers.memory.size());
    workers.memory[0] = static_cast<std::byte>(byte & 0xE0);  // They look.
    workers.presence.fall_asleep(3);
    CHECK(workers.choose_sleeper() == WorkerIndex{3});
    std::memset(workers.memory.data(), 0, workers.memory.size());
    workers.memory[4] = static_cast<std::byte>(byte & 0xE0);  // They sleep.
    CHECK_FALSE(workers.choose_sleeper());
  }
}
