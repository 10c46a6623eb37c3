// SPDX-License-Identifier: BSL-1.0

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <procpool/detail/task/shared_elements.hpp>
#include <procpool/pool/shared_array.hpp>
#include <procpool/serial/arrival.hpp>
#include <procpool/serial/decoder.hpp>
#include <procpool/serial/encoding.hpp>

#include "../../../support/catch.hpp"

using namespace procpool::detail;
using procpool::SerializationError;
using procpool::SharedArray;
using procpool::SharedElement;

namespace {

struct Node {
  Node* next = nullptr;
};
struct Point {
  double x = 0;
  float y = 0;
};

/// Fails behind its elements.
struct HalfSent {
  SharedArray<int> elements = {};

  template <class Archive>
  void save(Archive& archive) const {
    archive(elements);
    throw std::runtime_error("no more");
  }
  template <class Archive>
  void load(Archive& archive) {
    archive(elements);
  }
};

static_assert(SharedElement<int>);
static_assert(SharedElement<Point>);
static_assert(SharedElement<std::atomic<long>>);
static_assert(!SharedElement<const int>);
static_assert(!SharedElement<int[3]>);
static_assert(!SharedElement<int*>);
static_assert(!SharedElement<Node>);
static_assert(!SharedElement<std::atomic<Node*>>);
static_assert(!SharedElement<std::vector<int>>);
static_assert(!SharedElement<std::span<int>>);
static_assert(!SharedElement<void>);

template <class Parameter, class Arrived>
constexpr bool arrives = std::is_same_v<arrives_as_t<SharedArray<int>, Parameter>, Arrived>;

static_assert(arrives<void, SharedArray<int>>);
static_assert(arrives<SharedArray<int>, SharedArray<int>>);
static_assert(arrives<const SharedArray<int>&, SharedArray<int>>);
static_assert(arrives<SharedArray<int>&, ArrivedObject<SharedArray<int>>>);
static_assert(arrives<std::span<int>, std::span<int>>);
static_assert(arrives<const std::span<const int>&, std::span<const int>>);
static_assert(arrives<std::span<long>, SharedArray<int>>);
static_assert(std::is_same_v<arrives_as_t<SharedElements<int>, void>, std::span<int>>);

constexpr std::size_t region_size = std::size_t{1} << 20;

struct Memory {
  SharedMapping mapping{2 * region_size};
  BlockAllocator allocator{mapping, mapping.begin() + region_size / 2, region_size};

  template <class T>
  [[nodiscard]] SharedElements<T> elements(std::size_t count) {
    auto block = std::make_shared<const SharedBlock>(allocator, count * sizeof(T));
    T* const data = reinterpret_cast<T*>(block->data());
    return {data, count, std::move(block)};
  }
};

/// While it lives this process is the worker of a pool whose arrays lie in that memory.
class AsWorker {
 public:
  explicit AsWorker(const Memory& memory) {
    self_.arrays = &memory.allocator.region();
    worker_self = &self_;
  }
  AsWorker(const AsWorker&) = delete;
  AsWorker& operator=(const AsWorker&) = delete;
  ~AsWorker() { worker_self = nullptr; }

 private:
  WorkerSelf self_;
};

std::vector<std::byte> bytes_of(const Encoding& encoding) {
  alignas(64) static std::byte block[4096];
  REQUIRE(encoding.size() <= sizeof block);
  encoding.write_to(block);
  return {block, block + encoding.size()};
}

template <class T>
std::vector<std::byte> sent(const T& value) {
  Encoding encoding;
  encoding.add(value);
  return bytes_of(encoding);
}

ElementsHandle handle(const void* address, std::uint64_t size) { return {std::bit_cast<std::uint64_t>(address), size}; }

}  // namespace

TEST_CASE("who encodes elements keeps their block until the encoding is cleared") {
  Memory memory;
  Encoding encoding;
  encoding.add(SharedArray<int>(memory.elements<int>(100)));
  encoding.add(std::vector{SharedArray<int>(memory.elements<int>(100)), SharedArray<int>()});
  CHECK(memory.allocator.was_in_use() == 2 * 512);
  CHECK(encoding.kept().are_of(memory.allocator));
  encoding.clear();
  CHECK(memory.allocator.was_in_use() == 0);
}

TEST_CASE("who fails to encode a value keeps none of its elements, and all of those before") {
  Memory memory;
  Encoding encoding;
  encoding.add(SharedArray<int>(memory.elements<int>(100)));
  const std::size_t before = encoding.size();
  CHECK_THROWS_AS(encoding.add(HalfSent{SharedArray<int>(memory.elements<int>(100))}), std::runtime_error);
  CHECK(encoding.size() == before);
  CHECK(memory.allocator.was_in_use() == 512);
}

TEST_CASE("elements that were moved from are none, and keep nothing") {
  Memory memory;
  auto elements = memory.elements<int>(100);
  int* const data = elements.data();
  SharedElements<int> taken(std::move(elements));
  // NOLINTNEXTLINE(bugprone-use-after-move): what is left
  CHECK((elements.data() == nullptr && elements.size() == 0 && elements.memory() == nullptr));
  elements = std::move(taken);
  // NOLINTNEXTLINE(bugprone-use-after-move): what is left
  CHECK((taken.data() == nullptr && taken.size() == 0 && taken.memory() == nullptr));
  taken = elements;
  CHECK((elements.data() == data && taken.data() == data && taken.memory() == elements.memory()));
  auto& same = elements;
  elements = std::move(same);
  CHECK((elements.data() == data && elements.size() == 100 && elements.memory() != nullptr));
  elements = {};
  taken = {};
  CHECK(memory.allocator.was_in_use() == 0);
}

TEST_CASE("a worker is given the elements that a handle names, and keeps nothing") {
  Memory memory;
  const auto elements = memory.elements<int>(100);
  const auto bytes = sent(elements);
  const auto array_bytes = sent(SharedArray<int>(elements));
  const AsWorker worker(memory);
  const long holders = elements.memory().use_count();
  const std::span<int> block = Decoder(bytes).next<SharedElements<int>>();
  CHECK(block.data() == elements.data());
  CHECK(block.size() == 100);
  const auto array = Decoder(array_bytes).next<SharedArray<int>>();
  CHECK(array.data() == elements.data());
  CHECK(array.size() == 100);
  CHECK(elements.memory().use_count() == holders);
}

TEST_CASE("the user's process is given the elements that a task was sent, and keeps them") {
  Memory memory;
  KeptBlocks kept;
  std::vector<std::byte> bytes;
  {
    const auto elements = memory.elements<int>(100);
    kept.add(elements.memory());
    const AsWorker worker(memory);
    bytes = sent(SharedArray<int>({elements.data(), 100, nullptr}));
  }
  std::optional<SharedArray<int>> array = decode_value<SharedArray<int>>(bytes, &kept);
  CHECK(array->size() == 100);
  kept.clear();
  CHECK(memory.allocator.was_in_use() == 512);
  CHECK_THROWS_AS(decode_value<SharedArray<int>>(bytes, &kept), SerializationError);
  CHECK_THROWS_AS(decode_value<SharedArray<int>>(bytes), SerializationError);
  array.reset();
  CHECK(memory.allocator.was_in_use() == 0);
}

TEST_CASE("a ruined handle names no memory but that of arrays") {
  Memory memory;
  const auto elements = memory.elements<int>(100);
  KeptBlocks kept;
  kept.add(elements.memory());
  const std::byte* const begin = memory.allocator.region().begin();
  const int outside = 0;
  const std::vector<ElementsHandle> ruined{
      handle(&outside, 1),
      handle(nullptr, 1),
      handle(begin - 4, 1),
      handle(begin, region_size / 4 + 1),
      handle(begin + region_size, 1),
      handle(begin + 1, 1),  // not where an int may lie
      handle(begin, std::uint64_t{1} << 62),
      handle(begin + 4, UINT64_MAX),
      handle(reinterpret_cast<const void*>(UINTPTR_MAX - 3), 1),
  };
  for (const bool is_worker : {false, true}) {
    std::optional<AsWorker> worker;
    if (is_worker) worker.emplace(memory);
    for (const ElementsHandle& each : ruined) {
      CHECK_THROWS_AS(elements_at<int>(each, is_worker ? nullptr : &kept), SerializationError);
    }
    CHECK(elements_at<int>({}, nullptr).size() == 0);
    CHECK(elements_at<int>(handle(elements.data(), 100), &kept).data() == elements.data());
  }
  CHECK_THROWS_AS(elements_at<int>(handle(elements.data(), 101), &kept), SerializationError);
}

TEST_CASE("no handle whatever makes a worker or the user's process leave the memory of arrays") {
  Memory memory;
  const auto elements = memory.elements<double>(100);
  KeptBlocks kept;
  kept.add(elements.memory());
  const Region& region = memory.allocator.region();
  std::mt19937_64 random(4);
  const auto near = [&](const void* address) { return std::bit_cast<std::uint64_t>(address) + random() % 64 - 32; };
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t addresses[] = {random(), near(elements.data()), near(region.begin()),
                                       near(region.begin() + region.size())};
    const std::uint64_t sizes[] = {random(), random() % 200, SIZE_MAX / sizeof(double) + random() % 3,
                                   region.size() / sizeof(double)};
    const ElementsHandle any{addresses[random() % 4], sizes[random() % 4]};
    std::optional<AsWorker> worker;
    if (i % 2 == 0) worker.emplace(memory);
    try {
      const auto found = elements_at<double>(any, &kept);
      const auto* const first = reinterpret_cast<const std::byte*>(found.data());
      const bool is_inside = worker ? region.holds(first, found.size() * sizeof(double))
                                    : kept.find(first, found.size() * sizeof(double)) == elements.memory();
      REQUIRE(is_inside);
    } catch (const SerializationError&) {
      continue;
    }
  }
}
