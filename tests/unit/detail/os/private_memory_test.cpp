// SPDX-License-Identifier: BSL-1.0

#include <atomic>
#include <bit>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <procpool/detail/os/private_memory.hpp>

#include "../../../support/catch.hpp"

using namespace procpool::detail;

namespace {

int zeroed_global;
int filled_global = 3;
const char* const literal = "text that nobody writes";

bool is_private(const void* address) {
  return points_into_private_writable_memory(reinterpret_cast<std::uintptr_t>(address));
}

class Mapping {
 public:
  Mapping(void* where, int protection, int flags)
      : address_(::mmap(where, bytes, protection, flags | MAP_ANONYMOUS, -1, 0)) {
    if (address_ == MAP_FAILED) throw std::bad_alloc();
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(address_, bytes); }

  [[nodiscard]] void* address() const { return address_; }

  static constexpr std::size_t bytes = 1 << 16;

 private:
  void* address_;
};

}  // namespace

TEST_CASE("heap, stack and globals are private and writable") {
  const auto small = std::make_unique<int>(1);
  const std::vector<char> large(std::size_t{16} << 20);
  const int local = 1;
  CHECK(is_private(small.get()));
  CHECK(is_private(large.data() + large.size() / 2));
  CHECK(is_private(&local));
  CHECK(is_private(&zeroed_global));
  CHECK(is_private(&filled_global));
  std::thread([] {
    const int other_stack = 1;
    CHECK(is_private(&other_stack));
    CHECK(is_private(std::make_unique<int>(1).get()));
  }).join();
}

TEST_CASE("numbers are no addresses") {
  for (const std::uintptr_t number : {0ULL, 1ULL, 65535ULL, 65536ULL, 1'000'000'007ULL, 0xffff'ffff'ffff'ffffULL,
                                      0x8000'0000'0000'0000ULL, 0x1'0000'0001ULL, 20'250'101'120'000ULL}) {
    CAPTURE(number);
    CHECK_FALSE(points_into_private_writable_memory(number));
  }
  CHECK_FALSE(points_into_private_writable_memory(std::bit_cast<std::uintptr_t>(1.0)));
  CHECK_FALSE(points_into_private_writable_memory(std::bit_cast<std::uintptr_t>(-1e300)));
}

TEST_CASE("constants and code are not writable") {
  CHECK_FALSE(is_private(literal));
  CHECK_FALSE(is_private(literal));  // from the cache
  CHECK_FALSE(is_private(reinterpret_cast<const void*>(&is_private)));
  CHECK_FALSE(is_private(reinterpret_cast<const void*>(&::mmap)));
}

TEST_CASE("a shared mapping is not private") {
  const Mapping shared(nullptr, PROT_READ | PROT_WRITE, MAP_SHARED);
  CHECK_FALSE(is_private(shared.address()));
  CHECK_FALSE(is_private(static_cast<char*>(shared.address()) + Mapping::bytes - 1));
  forget_shared_mappings();
}

TEST_CASE("private memory where a shared mapping was is found once that was forgotten") {
  void* address = nullptr;
  {
    const Mapping shared(nullptr, PROT_READ | PROT_WRITE, MAP_SHARED);
    address = shared.address();
    CHECK_FALSE(is_private(address));
  }
  forget_shared_mappings();
  CHECK_FALSE(is_private(address));  // nothing is there
  const Mapping private_one(address, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  REQUIRE(private_one.address() == address);
  CHECK(is_private(address));
}

TEST_CASE("memory that becomes writable, as a thread's heap does when it grows, is noticed") {
  const Mapping reserved(nullptr, PROT_NONE, MAP_PRIVATE);
  CHECK_FALSE(is_private(reserved.address()));
  REQUIRE(::mprotect(reserved.address(), Mapping::bytes, PROT_READ | PROT_WRITE) == 0);
  CHECK(is_private(reserved.address()));
}

TEST_CASE("threads may ask at the same time") {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 50; ++turn) {
        const std::string on_the_heap(100, 'x');
        if (!is_private(on_the_heap.data()) || is_private(literal)) ++wrong;
        forget_shared_mappings();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}
