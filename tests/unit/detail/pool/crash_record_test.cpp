// SPDX-License-Identifier: BSL-1.0

#include <signal.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include <procpool/detail/pool/crash_record.hpp>
#include <procpool/detail/pool/death_findings.hpp>

#include "../../../support/catch.hpp"

using namespace procpool::detail;
using procpool::DeathReport;

namespace {

const void* number(std::uintptr_t address) { return reinterpret_cast<const void*>(address); }

/// A row whose worker, in its life 7, crashed at 0x1010, called from 0x2020; the handler came to its end if so told.
std::unique_ptr<Row> crashed_row(int signal, bool is_complete = true) {
  auto row = std::make_unique<Row>();
  row->crash.begin(7, signal, number(0xABC));
  row->crash.add_frame(0x1010);
  row->crash.add_frame(0x2020);
  row->crash.add_segment({0x1000, 0x100, 0x800, "libsome.so"});
  if (is_complete) row->crash.complete();
  return row;
}

}  // namespace

TEST_CASE("a record tells the crash of the life that wrote it, and of no other") {
  const auto row = crashed_row(SIGSEGV);
  const ToldCrash crash = row->crash.read(7);
  CHECK(crash.signal == SIGSEGV);
  CHECK(crash.address == number(0xABC));
  CHECK(crash.is_complete);
  REQUIRE(crash.stack.frame_count == 2);
  CHECK(crash.stack.frames[0] == 0x1010);
  CHECK(crash.stack.frames[1] == 0x2020);
  REQUIRE(crash.stack.segment_count == 1);
  CHECK(crash.stack.segments[0].base == 0x800);
  CHECK(std::string(crash.stack.segments[0].module) == "libsome.so");
  for (const Life other : {0U, 6U, 8U}) CHECK(row->crash.read(other).signal == 0);
  CHECK(std::make_unique<Row>()->crash.read(0).signal == 0);
}

TEST_CASE("a record of an earlier life shows through nowhere, and one without an address has none") {
  const auto row = crashed_row(SIGSEGV);
  row->crash.begin(8, SIGABRT, std::nullopt);
  const ToldCrash crash = row->crash.read(8);
  CHECK(crash.signal == SIGABRT);
  CHECK_FALSE(crash.address);
  CHECK_FALSE(crash.is_complete);
  CHECK(crash.stack.frame_count == 0);
  CHECK(crash.stack.segment_count == 0);
  CHECK(row->crash.read(7).signal == 0);
}

TEST_CASE("a record takes no more frames and segments than it has room for") {
  CrashRecord record;
  record.begin(1, SIGSEGV, std::nullopt);
  for (std::size_t i = 1; i < RawStack::most_frames; ++i) CHECK(record.add_frame(i));
  CHECK_FALSE(record.add_frame(RawStack::most_frames));
  CHECK_FALSE(record.add_frame(9999));
  for (std::size_t i = 0; i < 2 * RawStack::most_segments; ++i) record.add_segment({i, 1, 0, ""});
  const ToldCrash crash = record.read(1);
  CHECK(crash.stack.frame_count == RawStack::most_frames);
  CHECK(crash.stack.frames[RawStack::most_frames - 1] == RawStack::most_frames);
  CHECK(crash.stack.segment_count == RawStack::most_segments);
}

TEST_CASE("a segment is wanted if a frame lies in it, of a return address the call before it") {
  CrashRecord record;
  record.begin(1, SIGSEGV, std::nullopt);
  record.add_frame(0x1000);
  record.add_frame(0x3000);
  CHECK(record.has_frame_in(0x1000, 1));
  CHECK_FALSE(record.has_frame_in(0xF00, 0x100));
  CHECK(record.has_frame_in(0x2F00, 0x100));
  CHECK_FALSE(record.has_frame_in(0x3000, 0x100));
}

TEST_CASE("a report gets the crash that fits how its process ended") {
  DeathReport report;
  SECTION("by the signal of the crash") {
    report.signal = SIGSEGV;
    add_crash(report, *crashed_row(SIGSEGV), 7);
    CHECK(report.signal == SIGSEGV);
    CHECK(report.fault_address == number(0xABC));
    CHECK(report.stack.lines().size() == 2);
    CHECK(report.stack.lines()[0] == "libsome.so+0x810");
    CHECK(report.stack.lines()[1] == "0x201f");
  }
  SECTION("by the alarm of a handler that hung") {
    report.signal = SIGALRM;
    add_crash(report, *crashed_row(SIGABRT, false), 7);
    CHECK(report.signal == SIGABRT);
    CHECK(report.stack.lines().size() == 2);
  }
  SECTION("by a crash of the handler") {
    report.signal = SIGSEGV;
    add_crash(report, *crashed_row(SIGFPE, false), 7);
    CHECK(report.signal == SIGFPE);
  }
  SECTION("by something else, though the handler had come to its end") {
    report.signal = SIGTERM;
    add_crash(report, *crashed_row(SIGSEGV), 7);
    CHECK(report.signal == SIGTERM);
    CHECK_FALSE(report.fault_address);
    CHECK(report.stack.lines().empty());
  }
  SECTION("by an exit") {
    report.exit_status = 3;
    add_crash(report, *crashed_row(SIGSEGV, false), 7);
    CHECK(report.signal == 0);
    CHECK(report.stack.lines().empty());
  }
  SECTION("by a signal that no handler was called for") {
    report.signal = SIGALRM;
    add_crash(report, *crashed_row(SIGALRM, false), 7);
    CHECK(report.stack.lines().empty());
    add_crash(report, *crashed_row(-5, false), 7);
    CHECK(report.signal == SIGALRM);
  }
  SECTION("in another life") {
    report.signal = SIGSEGV;
    add_crash(report, *crashed_row(SIGSEGV), 6);
    CHECK(report.stack.lines().empty());
  }
}

TEST_CASE("whatever bytes stand in a record, a report of it is made, of bounded length and printable") {
  std::minstd_rand random(5);
  const auto row = crashed_row(SIGSEGV);
  for (int turn = 0; turn < 3000; ++turn) {
    CrashRecord& record = row->crash;
    auto* bytes = reinterpret_cast<unsigned char*>(&record);
    if (turn % 3 == 0) {
      for (std::size_t i = 0; i < sizeof record; ++i) bytes[i] = static_cast<unsigned char>(random());
    } else {
      std::memset(bytes, turn % 256, sizeof record);
    }
    Life life = 0;  // whatever the record says of whose it is
    std::memcpy(&life, bytes, sizeof life);
    if (turn % 2 == 0) {  // plausible but for the rest
      record.begin(life = 9, SIGSEGV, number(random()));
      for (int i = 0; i < 4; ++i)
        record.add_frame(random() % 5 == 0 ? reinterpret_cast<std::uintptr_t>(&add_crash) : 0);
      auto* counts = reinterpret_cast<std::uint32_t*>(bytes);
      for (std::size_t i = 2; i < 10; ++i) {
        if (random() % 2 == 0) counts[i] = static_cast<std::uint32_t>(random());
      }
    }
    DeathReport report;
    report.signal = SIGSEGV;
    add_crash(report, *row, life);
    const std::string what = procpool::WorkerDied(std::move(report)).what();
    CHECK(what.size() < 100'000);
    const auto is_odd = [](char c) { return c != '\n' && static_cast<unsigned char>(c) < ' '; };
    CHECK(std::none_of(what.begin(), what.end(), is_odd));
  }
}
