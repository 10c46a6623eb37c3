// SPDX-License-Identifier: BSL-1.0

#include <string>
#include <type_traits>

#include <procpool/error.hpp>

#include "../../support/catch.hpp"

using namespace procpool;

static_assert(std::is_base_of_v<std::runtime_error, Error>);
static_assert(std::is_base_of_v<std::logic_error, UsageError> && !std::is_base_of_v<Error, UsageError>);
static_assert(!std::is_base_of_v<std::exception, RemoteOrigin>, "catching std::exception would be ambiguous");
static_assert(std::is_nothrow_copy_constructible_v<WorkerDied> && std::is_nothrow_copy_constructible_v<RemoteError>);

TEST_CASE("a death by a signal names the worker, the signal, the item and the task") {
  const WorkerDied death({.pid = 4711, .signal = SIGSEGV, .label = "score", .position = 17});
  CHECK(std::string(death.what()) ==
        "worker 4711 died by signal 11 (SIGSEGV) while it ran item 17 of task \"score\"; "
        "its result is lost, all other tasks go on");
  CHECK(death.pid() == 4711);
  CHECK(death.signal() == SIGSEGV);
  CHECK(death.exit_status() == -1);
  CHECK(death.label() == "score");
  CHECK(death.position() == 17U);
}

TEST_CASE("an exit says its status and that a task must not end its process") {
  const WorkerDied death({.pid = 5, .exit_status = 3});
  CHECK(std::string(death.what()) ==
        "worker 5 exited with status 3 while it ran a task; a task must return or throw, never end its process; "
        "its result is lost, all other tasks go on");
  CHECK(death.signal() == 0);
  CHECK_FALSE(death.position().has_value());
}

TEST_CASE("a SIGKILL from outside points at the memory") {
  const WorkerDied death({.pid = 5, .signal = SIGKILL, .position = 0});
  CHECK(std::string(death.what()).find("item 0 of a map; a SIGKILL from outside is often") != std::string::npos);
}

TEST_CASE("a death of which nothing is known still reads as a sentence") {
  CHECK(std::string(WorkerDied(DeathReport{}).what()).starts_with("a worker died while it ran a task;"));
  CHECK(std::string(WorkerDied({.signal = 63}).what()).starts_with("a worker died by signal 63 while"));
}

TEST_CASE("a WorkerDied that was copied or moved from keeps its report") {
  WorkerDied first({.pid = 7, .label = "a"});
  const WorkerDied second(std::move(first));  // NOLINT(performance-move-const-arg): a move is a copy
  CHECK(first.pid() == 7);                    // NOLINT(bugprone-use-after-move): as above
  CHECK(second.label() == "a");
}

TEST_CASE("a RemoteError says where it comes from") {
  const RemoteError error("a task threw an int", "int", 12, "parse");
  CHECK(error.type_name() == "int");
  CHECK(error.pid() == 12);
  CHECK(error.label() == "parse");
  CHECK_THROWS_AS(throw RemoteError(error), RemoteOrigin);
  CHECK_THROWS_AS(throw RemoteError(error), Error);
}
