// SPDX-License-Identifier: BSL-1.0

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <limits>
#include <memory>

#include <procpool/detail/memory/block_allocator.hpp>
#include <procpool/detail/memory/shared_mapping.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/in_child.hpp"
#include "../../../support/resident.hpp"

using procpool::detail::always_kept;
using procpool::detail::BlockAllocator;
using procpool::detail::SharedMapping;

namespace {

constexpr std::size_t mebi = std::size_t{1} << 20;

::off_t most_between_two_signals = std::numeric_limits<::off_t>::max();  // bytes
int grants = std::numeric_limits<int>::max();                            // before the system has no more memory

}  // namespace

/// The C library's, on a kernel that undoes a call which a signal interrupts, while signals come in time for all that
/// are large; or of a system that has no more memory.
extern "C" int fallocate(int fd, int mode, ::off_t offset, ::off_t length) {
  if (length > most_between_two_signals) {
    errno = EINTR;
    return -1;
  }
  if (grants-- <= 0) {
    grants = 0;
    errno = ENOSPC;
    return -1;
  }
  static const auto real = reinterpret_cast<int (*)(int, int, ::off_t, ::off_t)>(::dlsym(RTLD_NEXT, "fallocate"));
  return real(fd, mode, offset, length);
}

TEST_CASE("memory is committed though signals keep interrupting it") {
  const SharedMapping mapping(512 * mebi);
  for (const ::off_t most : {::off_t{10'000'000}, ::off_t{100'000}, ::off_t{4096}}) {
    most_between_two_signals = most;
    const std::byte* const from = mapping.begin() + 3 * static_cast<std::size_t>(most / 4096) * 4096;
    const bool is_committed = mapping.commit(from, static_cast<std::size_t>(most) * 10 + 1);
    most_between_two_signals = std::numeric_limits<::off_t>::max();
    CHECK(is_committed);
  }
}

TEST_CASE("memory is committed after its descriptor was closed, and no other file is touched that has its number") {
  CHECK(true_in_child([] {
    const SharedMapping mapping(64 * mebi);
    if (!mapping.commit(mapping.begin(), mebi)) return false;
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
    for (const bool is_taken : {false, true}) {
      if (is_taken) ::dup2(::fileno(file.get()), mapping.descriptor());
      else ::close(mapping.descriptor());
      std::byte* const from = mapping.begin() + (is_taken ? 32 : 16) * mebi;
      unsigned char resident = 0;
      if (!mapping.commit(from, 8 * mebi) || ::mincore(from + 8 * mebi - 4096, 4096, &resident) != 0) return false;
      if ((resident & 1U) == 0) return false;
    }
    struct stat status {};
    return ::fstat(::fileno(file.get()), &status) == 0 && status.st_size == 0 && status.st_blocks == 0;
  }));
}

TEST_CASE("what the system gave of a block before it had no more goes back to it") {
  const SharedMapping mapping(256 * mebi);
  BlockAllocator allocator(mapping, mapping.begin(), mapping.size());
  grants = 1;
  CHECK(allocator.allocate(150 * mebi) == nullptr);
  CHECK(grants == 0);
  grants = std::numeric_limits<int>::max();
  CHECK(support::resident_bytes(mapping) == 0);
  CHECK(allocator.was_above_kept() == 0);
  CHECK(allocator.allocate(150 * mebi) == mapping.begin());
  CHECK(support::resident_bytes(mapping) == 150 * mebi);
}

TEST_CASE("a block goes where memory was granted before, if the system refuses what it was given back") {
  constexpr std::size_t large = 2 * mebi;
  const SharedMapping mapping(always_kept + 8 * mebi);
  BlockAllocator allocator(mapping, mapping.begin(), mapping.size());
  REQUIRE(allocator.allocate(always_kept) != nullptr);
  std::byte* const given_back = allocator.allocate(large);
  REQUIRE(allocator.allocate(mebi) != nullptr);
  std::byte* const granted = allocator.allocate(large);
  REQUIRE(allocator.allocate(mebi) != nullptr);
  allocator.release(given_back, large);
  allocator.begin_round();
  allocator.begin_round();
  REQUIRE(allocator.give_back_unused(SIZE_MAX) >= large);
  allocator.release(granted, large);
  grants = 0;
  std::byte* const block = allocator.allocate(large);
  std::byte* const another = allocator.allocate(large);
  grants = std::numeric_limits<int>::max();
  CHECK(block == granted);
  CHECK(another == nullptr);
  CHECK(allocator.allocate(large) == given_back);
}
