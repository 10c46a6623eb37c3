// SPDX-License-Identifier: BSL-1.0

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

#include "../support/catch.hpp"
#include "../support/patience.hpp"
#include "../support/tasks.hpp"

using procpool::PoolStats;
using procpool::ProcessPool;
using support::mebi;
using support::numbers;

namespace {

/// A mebibyte. Whoever takes one out of the shared memory waits until the workers have done all that they were sent.
class Mebibyte {
 public:
  inline static std::function<void()> wait_for_workers;  // empty in workers

  Mebibyte() = default;
  explicit Mebibyte(int item) : bytes_(mebi, static_cast<char>('a' + item % 26)) {}
  [[nodiscard]] bool is_of(int item) const { return bytes_ == Mebibyte(item).bytes_; }

  template <class Archive>
  void save(Archive& archive) const {
    archive(bytes_);
  }
  template <class Archive>
  void load(Archive& archive) {
    if (wait_for_workers) wait_for_workers();
    archive(bytes_);
  }

 private:
  std::string bytes_;
};

/// A pool whose memory for results holds 17 of them.
class SmallPool {
 public:
  SmallPool() {
    Mebibyte::wait_for_workers = [this] {
      const auto are_idle = [this] {
        const PoolStats stats = pool_.stats();
        return stats.queued == 0 && stats.running == 0;
      };
      CHECK(support::eventually(are_idle, std::chrono::seconds(20)));
    };
  }
  SmallPool(const SmallPool&) = delete;
  SmallPool& operator=(const SmallPool&) = delete;
  ~SmallPool() { Mebibyte::wait_for_workers = nullptr; }

  ProcessPool<>* operator->() noexcept { return &pool_; }

 private:
  ProcessPool<> pool_{{.workers = 2, .shared_memory = 64 * mebi}};
};

Mebibyte mebibyte(int item) { return Mebibyte(item); }

void check_all(const std::vector<Mebibyte>& results) {
  for (std::size_t i = 0; i < results.size(); ++i) CHECK(results[i].is_of(static_cast<int>(i)));
}

}  // namespace

TEST_CASE("a map has no more under way than its results have room for, however slowly they are taken") {
  SmallPool pool;
  for (const std::size_t chunk_size : {0U, 1U, 4U}) {
    const auto results = pool->with({.chunk_size = chunk_size}).map(mebibyte, numbers(60));
    CHECK(results.size() == 60);
    check_all(results);
  }
}

TEST_CASE("a lazy map has no more under way than its results have room for, however far it may read ahead") {
  SmallPool pool;
  const int count = 60;
  int taken = 0;
  for (const Mebibyte& result : pool->with({.read_ahead = 50}).imap(mebibyte, numbers(count))) {
    CHECK(result.is_of(taken++));
  }
  CHECK(taken == count);
}

TEST_CASE("a reduction has no more under way than the results of its chunks have room for") {
  SmallPool pool;
  const auto right = [](const Mebibyte&, Mebibyte item) { return item; };
  CHECK(pool->with({.chunk_size = 2}).map_reduce(mebibyte, right, Mebibyte(0), numbers(200)).is_of(199));
}
