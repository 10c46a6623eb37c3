// SPDX-License-Identifier: BSL-1.0

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <functional>
#include <queue>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <procpool/detail/pool/chunker.hpp>

#include "../../../support/catch.hpp"

using procpool::detail::Chunker;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

// What a map costs besides the work of its items, in ns, as measured with ints: the caller, to send a chunk and an item
// and to take their results, and a worker.
constexpr double chunk_to_send = 700;
constexpr double item_to_send = 0.8;
constexpr double chunk_to_take = 300;
constexpr double item_to_take = 1.2;
constexpr double chunk_to_run = 1000;
constexpr double item_to_run = 1;

/// The items of a map: how many, and how many nanoseconds of work the items [begin, end) are.
struct Items {
  std::size_t count;
  std::function<double(std::size_t begin, std::size_t end)> work;
};

Items uniform(std::size_t count, double ns) {
  return {count, [ns](std::size_t begin, std::size_t end) { return ns * static_cast<double>(end - begin); }};
}

Items of_times(const std::vector<double>& ns) {
  std::vector<double> sums{0};
  for (const double time : ns) sums.push_back(sums.back() + time);
  return {ns.size(), [sums = std::move(sums)](std::size_t begin, std::size_t end) { return sums[end] - sums[begin]; }};
}

/// A hundred items of 1, 2, … 100 ms.
std::vector<double> hundred_long_times() {
  std::vector<double> times;
  for (int ms = 1; ms <= 100; ++ms) times.push_back(1e6 * ms);
  return times;
}

struct Terms {
  int workers = 2;
  bool is_total_known = true;
};

/// Runs a map in virtual time, as run_map() does in the real one. The caller is one thread: it sends as many chunks as
/// the window has room for, and then takes the results of the chunk that has ended first. Each worker is one more, and
/// runs chunks in the order in which they were sent. Returns the nanoseconds that it took.
class Simulation {
 public:
  Simulation(Chunker chunker, const Items& items, Terms terms) : chunker_(chunker), items_(items), terms_(terms) {
    for (int i = 0; i < terms.workers; ++i) free_at_.push(0);
  }

  double run() {
    for (send(); !under_way_.empty(); send()) {
      const Chunk chunk = under_way_.top();
      under_way_.pop();
      now_ = std::max(now_, chunk.end) + chunk_to_take + item_to_take * static_cast<double>(chunk.items);
      chunker_.record(chunk.items, nanoseconds(std::llround(chunk.busy)));
    }
    return now_;
  }

 private:
  struct Chunk {
    double end;
    double busy;
    std::size_t items;
    bool operator<(const Chunk& other) const { return end > other.end; }  // the top of the queue ends first
  };

  void send() {
    while (sent_ < items_.count) {
      const std::size_t left = items_.count - sent_;
      const std::size_t known_left = terms_.is_total_known ? left : Chunker::unknown;
      if (under_way_.size() >= chunker_.window(known_left)) break;
      const std::size_t size = std::min(chunker_.next_size(known_left), left);
      if (size == 0) throw std::logic_error("items remain, but the next chunk shall hold none");
      const auto items = static_cast<double>(size);
      now_ += chunk_to_send + item_to_send * items;
      const double busy = items_.work(sent_, sent_ + size) + item_to_run * items;
      const double end = std::max(now_, free_at_.top()) + chunk_to_run + busy;
      free_at_.pop();
      free_at_.push(end);
      under_way_.push({end, busy, size});
      sent_ += size;
    }
  }

  Chunker chunker_;
  const Items& items_;
  Terms terms_;
  double now_ = 0;  // the caller's
  std::size_t sent_ = 0;
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at_;  // when each worker is
  std::priority_queue<Chunk> under_way_;
};

double time_of(const Items& items, Terms terms) { return Simulation(Chunker(terms.workers), items, terms).run(); }

/// What somebody reaches who tries powers of two, and equal shares for each worker: 1, 2, 4, … 16 of them.
double best_time_by_hand(const Items& items, Terms terms) {
  std::vector<std::size_t> sizes;
  for (std::size_t size = 1; size <= items.count; size *= 2) sizes.push_back(size);
  for (std::size_t shares = 1; shares <= 16; shares *= 2) {
    const std::size_t chunks = shares * static_cast<std::size_t>(terms.workers);
    sizes.push_back((items.count + chunks - 1) / chunks);
  }
  std::sort(sizes.rbegin(), sizes.rend());
  const auto count = static_cast<double>(items.count);
  double best = INFINITY;
  for (const std::size_t size : sizes) {
    // Small chunks that take longer even if the caller, or all workers, are busy to the end need not be tried.
    const double chunks = count / static_cast<double>(size);
    const double caller = (chunk_to_send + chunk_to_take) * chunks + (item_to_send + item_to_take) * count;
    const double worker = chunk_to_run * chunks + items.work(0, items.count) + item_to_run * count;
    if (std::max(caller, worker / terms.workers) < best)
      best = std::min(best, Simulation(Chunker(terms.workers, size), items, terms).run());
  }
  return best;
}

/// What is lost while sizes are found and chunks shrink counts only where a map is short.
double longest_allowed(const Items& items, Terms terms) {
  return 1.1 * best_time_by_hand(items, terms) + 40e3 + 12e3 * terms.workers;
}

double ratio_to_best_by_hand(const Items& items, Terms terms) {
  return time_of(items, terms) / best_time_by_hand(items, terms);
}

}  // namespace

TEST_CASE("ten million items of a nanosecond take at most 10 % longer than with the best chunk size") {
  Terms terms;
  terms.workers = GENERATE(1, 2, 4, 8, 64);
  terms.is_total_known = GENERATE(true, false);
  CAPTURE(terms.workers, terms.is_total_known);
  CHECK(ratio_to_best_by_hand(uniform(10'000'000, 1), terms) < 1.1);
}

TEST_CASE("a hundred items of 1 to 100 ms in any order take at most 10 % longer than with the best chunk size") {
  Terms terms;
  terms.workers = GENERATE(1, 2, 4, 8, 64);
  terms.is_total_known = GENERATE(true, false);
  const auto order = GENERATE(as<std::string>(), "rising", "falling", "shuffled");
  CAPTURE(terms.workers, terms.is_total_known, order);
  std::vector<double> times = hundred_long_times();
  if (order == "falling") std::reverse(times.begin(), times.end());
  if (order == "shuffled") std::shuffle(times.begin(), times.end(), std::mt19937_64(1));
  CHECK(ratio_to_best_by_hand(of_times(times), terms) < 1.1);
}

TEST_CASE(
    "a map of any size and length of items loses at most 10 %, and 12 us for each worker, to the best chunk size") {
  Terms terms;
  terms.workers = GENERATE(1, 2, 4, 8, 64);
  const std::size_t count = GENERATE(1U, 10U, 1000U, 100'000U);
  const double ns = GENERATE(0., 1., 30., 1e3, 3e4, 1e6);
  CAPTURE(terms.workers, count, ns);
  CHECK(time_of(uniform(count, ns), terms) < longest_allowed(uniform(count, ns), terms));
}

TEST_CASE("a map of items whose times vary wildly loses as little") {
  std::mt19937_64 random(1);
  std::vector<double> times(100'000);
  const auto kind = GENERATE(as<std::string>(), "exponential", "from 1 ns to 10 ms", "stretches", "rising", "falling");
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (kind == "exponential") times[i] = std::exponential_distribution<double>(1e-3)(random);
    if (kind == "from 1 ns to 10 ms") times[i] = std::pow(10, std::uniform_real_distribution<double>(0, 7)(random));
    if (kind == "stretches") times[i] = i / 1000 % 2 == 0 ? 1 : 1000;
    if (kind == "rising") times[i] = static_cast<double>(i);
    if (kind == "falling") times[i] = static_cast<double>(times.size() - i);
  }
  Terms terms;
  terms.workers = GENERATE(2, 4, 8, 64);
  CAPTURE(kind, terms.workers);
  CHECK(time_of(of_times(times), terms) < longest_allowed(of_times(times), terms));
}

TEST_CASE("long items at the end of a million short ones are shared by all workers") {
  std::vector<double> times(1'000'000, 1.);
  std::fill(times.end() - 100, times.end(), 1e7);
  const Items items = of_times(times);
  Terms terms;
  terms.workers = GENERATE(2, 4, 8, 64);
  CAPTURE(terms.workers);
  CHECK(time_of(items, terms) < 1.1 * (std::ceil(100. / terms.workers) * 1e7 + 3e6));
  CHECK(ratio_to_best_by_hand(items, terms) < 1.);
}

TEST_CASE("until something was measured a chunk is one item") {
  const Chunker chunker(2);
  CHECK(chunker.next_size() == 1);
  CHECK(chunker.next_size(1'000'000) == 1);
}

TEST_CASE("chunks of cheap items grow at most eightfold at a time, to a million items") {
  Chunker chunker(2);
  for (std::size_t proven = 1; proven <= 8 * 8 * 8; proven *= 8) {
    chunker.record(proven, nanoseconds(0));
    CHECK(chunker.next_size() == 8 * proven);
  }
  chunker.record(1'000'000'000, nanoseconds(0));
  CHECK(chunker.next_size() == std::size_t{1} << 20);
  chunker.record(std::size_t{1} << 61, nanoseconds(0));
  CHECK(chunker.next_size() == std::size_t{1} << 20);
}

TEST_CASE("chunks settle at the target time") {
  Chunker chunker(2);
  for (int i = 0; i < 20; ++i) chunker.record(chunker.next_size(), chunker.next_size() * microseconds(1));
  CHECK(chunker.next_size() * microseconds(1) == Chunker::target_time);
}

TEST_CASE("a slow chunk shrinks the next ones, which soon recover") {
  Chunker chunker(2);
  for (int i = 0; i < 20; ++i) chunker.record(chunker.next_size(), chunker.next_size() * microseconds(1));
  const std::size_t usual = chunker.next_size();
  chunker.record(usual, milliseconds(100));
  CHECK(chunker.next_size() < usual / 50);
  for (int i = 0; i < 12; ++i) chunker.record(chunker.next_size(), chunker.next_size() * microseconds(1));
  CHECK(chunker.next_size() > usual / 2);
}

TEST_CASE("one chunk that the caller cut short does not make the next ones start anew") {
  Chunker chunker(2);
  chunker.record(1000, microseconds(1));
  chunker.record(1, nanoseconds(1));
  CHECK(chunker.next_size() == 4000);
}

TEST_CASE("no chunk is more than half a worker's share of what remains where that takes long") {
  Chunker chunker(4);
  chunker.record(1000, milliseconds(1));
  CHECK(chunker.next_size(8000) == 250);
  CHECK(chunker.next_size(1600) == 200);
  CHECK(chunker.next_size(80) == 10);
  CHECK(chunker.next_size(0) == 0);
}

TEST_CASE(
    "a chunk is a worker's share of what remains where that takes little, and half of it is no longer than that") {
  Chunker chunker(4);
  chunker.record(1000, microseconds(100));  // so that a hundred take as long as a chunk is worthwhile
  CHECK(chunker.next_size(1600) == 200);
  CHECK(chunker.next_size(600) == 100);
  CHECK(chunker.next_size(400) == 100);
  CHECK(chunker.next_size(80) == 20);
  CHECK(chunker.next_size(7) == 1);
  CHECK(chunker.next_size(1) == 1);
}

TEST_CASE("few chunks are under way while sizes are found, many when nothing is to be found any more") {
  Chunker chunker(4);
  CHECK(chunker.window() == 5);
  CHECK(chunker.window(1'000'000) == 5);
  chunker.record(10, microseconds(10));
  CHECK(chunker.window() == 5);
  chunker.record(1000, milliseconds(1));
  CHECK(chunker.window() == 12);
  CHECK(chunker.window(2008) == 12);
  CHECK(chunker.window(2007) == 256);
  CHECK(Chunker(4, 10).window() == 256);
}

TEST_CASE("items that take longer than a chunk should are sent ahead from the first measured one on") {
  Chunker chunker(4);
  chunker.record(1, milliseconds(1));
  CHECK(chunker.window(1'000'000) == 12);
  CHECK(chunker.next_size(1'000'000) == 1);
}

TEST_CASE("a chosen chunk size is kept, but for the last chunk") {
  Chunker chunker(2, 100);
  CHECK(chunker.next_size() == 100);
  chunker.record(100, milliseconds(500));
  CHECK(chunker.next_size() == 100);
  CHECK(chunker.next_size(100) == 100);
  CHECK(chunker.next_size(37) == 37);
  CHECK(chunker.next_size(0) == 0);
}

TEST_CASE("without workers, chunks are those for one") {
  Chunker chunker(0);
  chunker.record(100, milliseconds(1));
  CHECK(chunker.next_size(40) == 20);
}

TEST_CASE("times that no clock can measure are borne") {
  Chunker chunker(2);
  chunker.record(0, nanoseconds(0));
  CHECK(chunker.next_size() == 1);
  chunker.record(1, nanoseconds(-5));
  CHECK(chunker.next_size() == 8);
  chunker.record(1, nanoseconds::max());
  CHECK(chunker.next_size() == 1);
}
