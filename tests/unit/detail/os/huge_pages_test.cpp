// SPDX-License-Identifier: BSL-1.0

#include "../../../support/huge_pages.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <procpool/detail/os/huge_pages.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::ask_for_huge_pages;
using support::has_asked_for_huge_pages;
using support::system_has_huge_pages;

namespace {

constexpr std::size_t megabyte = std::size_t{1} << 20;

/// Memory that begins at a multiple of two megabytes.
class Memory {
 public:
  explicit Memory(std::size_t bytes) : size_(bytes + 2 * megabyte), all_(map(size_)) {
    const auto address = std::bit_cast<std::uintptr_t>(all_);
    offset_ = (2 * megabyte - address % (2 * megabyte)) % (2 * megabyte);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { ::munmap(all_, size_); }

  [[nodiscard]] std::byte* begin() const { return all_ + offset_; }

 private:
  static std::byte* map(std::size_t bytes) {
    return static_cast<std::byte*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }

  std::size_t size_;
  std::byte* all_;
  std::size_t offset_ = 0;
};

}  // namespace

TEST_CASE("huge pages are asked for where whole ones lie in large memory, and not beside it") {
  const Memory memory(8 * megabyte);
  std::byte* const begin = memory.begin();
  ask_for_huge_pages(begin + 100, 6 * megabyte);
  CHECK_FALSE(has_asked_for_huge_pages(begin));
  CHECK(has_asked_for_huge_pages(begin + 2 * megabyte) == system_has_huge_pages());
  CHECK(has_asked_for_huge_pages(begin + 6 * megabyte - 1) == system_has_huge_pages());
  CHECK_FALSE(has_asked_for_huge_pages(begin + 6 * megabyte));
  std::fill_n(begin, 8 * megabyte, std::byte{1});
  CHECK(std::count(begin, begin + 8 * megabyte, std::byte{1}) == static_cast<std::ptrdiff_t>(8 * megabyte));
}

TEST_CASE("no huge pages are asked for in memory of less than four megabytes, nor in none") {
  const Memory memory(4 * megabyte);
  ask_for_huge_pages(memory.begin(), 4 * megabyte - 1);
  ask_for_huge_pages(nullptr, 0);
  CHECK_FALSE(has_asked_for_huge_pages(memory.begin()));
}
