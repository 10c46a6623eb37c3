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

#include <procpool/detail/memory/shared_mapping.hpp>

#include "../../../support/catch.hpp"
#include "../../../support/in_child.hpp"

using procpool::detail::SharedMapping;

namespace {

constexpr std::size_t mebi = std::size_t{1} << 20;

::off_t most_between_two_signals = std::numeric_limits<::off_t>::max();  // bytes

}  // namespace

/// The C library's, on a kernel that undoes a call which a signal interrupts, while signals come in time for all that
/// are large.
extern "C" int fallocate(int fd, int mode, ::off_t offset, ::off_t length) {
  if (length > most_between_two_signals) {
    errno = EINTR;
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
