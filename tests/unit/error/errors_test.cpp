// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

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

TEST_CASE("a segfault reads like an exception with a stack trace") {
  const auto address = [](std::uintptr_t number) { return reinterpret_cast<const void*>(number); };
  const CrashStack stack(CrashStack::Lines{"f at a.cpp:3", "g (lib.so+0x10)", "program+0x20"});
  const WorkerDied death(
      {.pid = 5, .signal = SIGSEGV, .label = "score", .fault_address = address(0x10), .stack = stack});
  CHECK(std::string(death.what()) ==
        "worker 5 died by signal 11 (SIGSEGV) at address 0x10 while it ran task \"score\"; its result is lost, all "
        "other tasks go on\n    #0 f at a.cpp:3\n    #1 g (lib.so+0x10)\n    #2 program+0x20");
  CHECK(death.fault_address() == address(0x10));
  CHECK(death.stack() == std::vector<std::string>{"f at a.cpp:3", "g (lib.so+0x10)", "program+0x20"});
  const WorkerDied null({.signal = SIGSEGV, .fault_address = nullptr});
  CHECK(std::string(null.what()).starts_with("a worker died by signal 11 (SIGSEGV) at address 0x0 while"));
  CHECK(null.fault_address() == nullptr);
  CHECK(null.stack().empty());
}

TEST_CASE("a recursion without end is shown as two of its frames and a count") {
  const auto below_first_line = [](CrashStack::Lines lines) {
    const std::string what = WorkerDied({.signal = SIGSEGV, .stack = CrashStack(std::move(lines))}).what();
    return what.substr(std::min(what.find('\n'), what.size()));
  };
  CHECK(below_first_line({"f", "f"}) == "\n    #0 f\n    #1 f");
  CHECK(below_first_line({"f", "f", "f"}) == "\n    #0 f\n    #1 f\n    ... and the same 1 more time");
  CHECK(below_first_line({"e", "f", "f", "f", "f", "g", "g"}) ==
        "\n    #0 e\n    #1 f\n    #2 f\n    ... and the same 2 more times\n    #5 g\n    #6 g");
}

TEST_CASE("the frames of a stack are named once, when somebody first asks") {
  static int asked;
  asked = 0;
  detail::RawStack frames;
  frames.frame_count = 3;
  const CrashStack stack(frames, [](const detail::RawStack& raw) {
    if (++asked == 1) throw std::bad_alloc();
    return CrashStack::Lines(raw.frame_count, "f");
  });
  const WorkerDied death({.signal = SIGSEGV, .stack = stack});
  CHECK(asked == 0);
  CHECK(std::string(death.what()).find('\n') == std::string::npos);  // There was no memory for more.
  CHECK(asked == 1);
  CHECK(death.stack().size() == 3);
  CHECK(stack.lines().size() == 3);
  CHECK(std::string(WorkerDied(death).what()).find("\n    #0 f") != std::string::npos);
  CHECK(death.what() == death.what());
  CHECK(asked == 2);
}

TEST_CASE("a death for want of memory says so, and tells what its process had used") {
  const WorkerDied death({.pid = 5,
                          .signal = SIGKILL,
                          .ran_for = std::chrono::seconds(3),
                          .peak_memory = 4096,
                          .cpu_time = std::chrono::seconds(2),
                          .out_of_memory = true,
                          .attempt = 2,
                          .earlier = std::vector<DeathReport>(1)});
  CHECK(std::string(death.what()) ==
        "worker 5 died by signal 9 (SIGKILL), killed by the kernel because memory ran out, while it ran a task; its "
        "result is lost, all other tasks go on");
  CHECK(death.ran_for() == std::chrono::seconds(3));
  CHECK(death.peak_memory() == 4096);
  CHECK(death.cpu_time() == std::chrono::seconds(2));
  CHECK(death.out_of_memory());
  CHECK(death.attempt() == 2);
  CHECK(death.earlier().size() == 1);
  CHECK(WorkerDied(DeathReport{}).attempt() == 1);
}

TEST_CASE("a number is written as addresses are") {
  CHECK(detail::hexadecimal(0) == "0x0");
  CHECK(detail::hexadecimal(0x7f00) == "0x7f00");
  CHECK(detail::hexadecimal(UINTPTR_MAX) == "0xffffffffffffffff");
}

TEST_CASE("a number in a message is the number that was given, be it the largest or the least of its type") {
  CHECK(detail::message({UINT64_MAX, " ", INT64_MIN, " ", UINT32_MAX, " ", -1, " ", 0}) ==
        "18446744073709551615 -9223372036854775808 4294967295 -1 0");
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
