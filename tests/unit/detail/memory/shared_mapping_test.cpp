// SPDX-License-Identifier: BSL-1.0

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <procpool/detail/memory/default_reservation.hpp>
#include <procpool/detail/memory/region.hpp>
#include <procpool/detail/memory/shared_mapping.hpp>

#include "../../../support/address_space.hpp"
#include "../../../support/catch.hpp"
#include "../../../support/in_child.hpp"

using procpool::SharedMemoryExhausted;
using procpool::detail::Region;
using procpool::detail::SharedMapping;

namespace {

constexpr std::size_t mebi = std::size_t{1} << 20;

/// Bytes that the mapping has taken from the system.
std::size_t committed(const SharedMapping& mapping) {
  struct stat status {};
  REQUIRE(::fstat(mapping.descriptor(), &status) == 0);
  return static_cast<std::size_t>(status.st_blocks) * 512;
}

std::vector<std::string> names_in_shared_memory() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) names.push_back(entry.path());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("a mapping takes nothing from the system until a part is committed") {
  const SharedMapping mapping(4096 * mebi);
  CHECK(mapping.size() == 4096 * mebi);
  CHECK(committed(mapping) == 0);
  REQUIRE(mapping.commit(mapping.begin() + 100 * mebi, mebi));
  CHECK(committed(mapping) == mebi);
  mapping.begin()[100 * mebi] = std::byte{1};
  CHECK(committed(mapping) == mebi);
}

TEST_CASE("a mapping is one memory for this process and those forked from it, and has no name") {
  const auto before = names_in_shared_memory();
  const SharedMapping mapping(mebi);
  CHECK(names_in_shared_memory() == before);
  REQUIRE(mapping.commit(mapping.begin(), mebi));
  CHECK(true_in_child([&] { return (mapping.begin()[17] = std::byte{42}) == std::byte{42}; }));
  CHECK(mapping.begin()[17] == std::byte{42});
}

TEST_CASE("a mapping that is excluded from forks is not there in a child") {
  const SharedMapping mapping(mebi);
  mapping.exclude_from_forks();
  unsigned char resident = 0;
  CHECK(::mincore(mapping.begin(), 4096, &resident) == 0);
  CHECK(true_in_child([&] { return ::mincore(mapping.begin(), 4096, &resident) != 0; }));
}

TEST_CASE("a mapping that the system refuses says how much was asked and what to set") {
  CHECK(true_in_child([] {
    const std::size_t enough_for_all_else = support::address_space_in_use() + 256 * mebi;
    const rlimit little{enough_for_all_else, enough_for_all_else};
    ::setrlimit(RLIMIT_AS, &little);
    try {
      const SharedMapping mapping(1024 * mebi);
    } catch (const SharedMemoryExhausted& refusal) {
      const std::string what = refusal.what();
      return what.find(std::to_string(1024 * mebi)) != std::string::npos &&
             what.find("PoolOptions::shared_memory") != std::string::npos;
    }
    return false;
  }));
}

TEST_CASE("a mapping larger than the process's largest file is refused, and does not end the process") {
  CHECK(true_in_child([] {
    const rlimit little{mebi, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &little);
    const SharedMapping as_large_as_can_be(mebi);
    try {
      const SharedMapping mapping(mebi + 4096);
    } catch (const SharedMemoryExhausted&) {
      return true;
    }
    return false;
  }));
}

TEST_CASE("the default reservation keeps within the limits of the process") {
  CHECK(procpool::detail::default_reservation(0) >= 64 * mebi);
  CHECK(procpool::detail::default_reservation(std::size_t{1} << 45) == std::size_t{1} << 45);
  CHECK(true_in_child([] {
    const rlimit little{512 * mebi, 512 * mebi};
    rlimit unlimited{};
    ::getrlimit(RLIMIT_AS, &unlimited);
    const rlimit soft{512 * mebi, unlimited.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &little);
    const std::size_t by_file = procpool::detail::default_reservation(1024 * mebi);
    ::setrlimit(RLIMIT_AS, &soft);
    const std::size_t by_address_space = procpool::detail::default_reservation(0);
    if (support::is_sanitized) ::setrlimit(RLIMIT_AS, &unlimited);  // It has long gone beyond it.
    return by_file == 512 * mebi && by_address_space == 128 * mebi && SharedMapping(by_address_space).size() > 0;
  }));
}

TEST_CASE("a region commits from its start, in steps, and never beyond its end") {
  const SharedMapping mapping(16 * mebi);
  Region region(mapping, mapping.begin() + 4 * mebi, mebi + 4096);
  REQUIRE(region.ensure(1));
  const std::size_t step = committed(mapping);
  CHECK(step > 0);
  REQUIRE(region.ensure(step));
  CHECK(committed(mapping) == step);
  REQUIRE(region.ensure(step + 1));
  CHECK(committed(mapping) == 2 * step);
  REQUIRE(region.ensure(region.size()));
  CHECK(committed(mapping) == region.size());
  CHECK_FALSE(region.ensure(region.size() + 1));
}

TEST_CASE("a region tells addresses inside from those outside, whatever they are") {
  const SharedMapping mapping(mebi);
  const Region region(mapping, mapping.begin() + 4096, 4096);
  const std::byte* const begin = region.begin();
  CHECK(region.holds(begin, 4096));
  CHECK(region.holds(begin + 4096, 0));
  CHECK_FALSE(region.holds(begin, 4097));
  CHECK_FALSE(region.holds(begin - 1, 1));
  CHECK_FALSE(region.holds(begin + 4096, 1));
  CHECK_FALSE(region.holds(begin + 1, SIZE_MAX));
  CHECK_FALSE(region.holds(nullptr, 1));
  CHECK_FALSE(region.holds(nullptr, SIZE_MAX));
}
