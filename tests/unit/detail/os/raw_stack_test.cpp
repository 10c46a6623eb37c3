// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>
#include <errno.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include <procpool/detail/os/raw_stack.hpp>

#include "../../../support/catch.hpp"

using namespace procpool::detail;

namespace {

RawStack stack_of(std::initializer_list<std::uintptr_t> frames, std::initializer_list<CodeSegment> segments) {
  RawStack stack;
  for (const std::uintptr_t frame : frames) stack.frames[stack.frame_count++] = frame;
  for (const CodeSegment& segment : segments) stack.segments[stack.segment_count++] = segment;
  return stack;
}

std::uintptr_t address_of_abs() { return reinterpret_cast<std::uintptr_t>(::dlsym(RTLD_DEFAULT, "abs")); }

}  // namespace

TEST_CASE("a function of a library is named with its module and the offset there") {
  const CodeSegment libc = own_segment_at(address_of_abs());
  REQUIRE(std::string(libc.module).starts_with("libc.so"));
  const auto lines = describe(stack_of({address_of_abs()}, {libc}));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("abs (libc.so.6+0x"));
  CHECK(lines[0].back() == ')');
}

TEST_CASE("a return address belongs to the call before it") {
  const CodeSegment libc = own_segment_at(address_of_abs());
  const auto lines = describe(stack_of({address_of_abs(), address_of_abs() + 1, address_of_abs()}, {libc}));
  REQUIRE(lines.size() == 3);
  CHECK(lines[1] == lines[0]);
  CHECK_FALSE(lines[2].starts_with("abs ("));
}

TEST_CASE("code that this process does not have at that place is told as module and offset, never named") {
  const CodeSegment libc = own_segment_at(address_of_abs());
  CodeSegment other = libc;
  std::memset(other.module, 0, sizeof other.module);
  std::memcpy(other.module, "libother.so", 11);
  CodeSegment moved = libc;
  moved.base += 0x1000;
  CodeSegment longer = libc;
  longer.bytes += 1;
  const auto offset = [&](const CodeSegment& of) { return procpool::detail::hexadecimal(address_of_abs() - of.base); };
  CHECK(describe(stack_of({address_of_abs()}, {other})) == std::vector{"libother.so+" + offset(other)});
  CHECK(describe(stack_of({address_of_abs()}, {moved})) == std::vector{std::string(libc.module) + "+" + offset(moved)});
  CHECK(describe(stack_of({address_of_abs()}, {longer})) ==
        std::vector{std::string(libc.module) + "+" + offset(longer)});
}

TEST_CASE("what lies in no module is told as its address, and the program has its own name") {
  CHECK(describe(stack_of({0, 0x1001}, {})) == std::vector<std::string>{"0x0", "0x1000"});
  const CodeSegment program{0x1000, 0x1000, 0x800, {}};
  CHECK(describe(stack_of({0x1234}, {program})) ==
        std::vector{std::string(::program_invocation_short_name) + "+0xa34"});
  CHECK(describe(RawStack()).empty());
}

TEST_CASE("names and counts that make no sense do no harm") {
  CodeSegment segment{0, UINTPTR_MAX, 5, {}};
  std::memset(segment.module, 'x', sizeof segment.module);  // without an end
  std::memcpy(segment.module, "a\nb\x01\x7f", 5);
  RawStack stack = stack_of({1}, {segment});
  const std::string expected = "a?b??" + std::string(sizeof segment.module - 5, 'x') + "+0xfffffffffffffffc";
  CHECK(describe(stack) == std::vector{expected});
  std::memset(&stack.frames, 0, sizeof stack.frames);
  std::memset(&stack.segments, 0, sizeof stack.segments);
  stack.frame_count = stack.segment_count = SIZE_MAX;
  CHECK(describe(stack).size() == RawStack::most_frames);
}
