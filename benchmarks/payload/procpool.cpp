// SPDX-License-Identifier: BSL-1.0

/// @file
/// Payload: how fast do 64 MiB travel, as a share of memcpy's speed? A vector as an argument that is read as a span,
/// one that is borrowed as a result, and one there and back by value. The plain memcpy takes turns with the pool, so
/// that the machine is in the same state.

#include <cstddef>
#include <cstring>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <procpool/procpool.hpp>

#include "../support/measure.hpp"

namespace {

using Data = std::vector<int>;

constexpr std::size_t payload_size = std::size_t{64} << 20;

/// Looks at each page, so that a worker has to have them all, and does no more.
long look_at(std::span<const int> data) {
  constexpr std::size_t apart = 4096 / sizeof(int);
  long sum = 0;
  for (std::size_t i = 0; i < data.size(); i += apart) sum += data[i];
  return sum;
}

Data give_back(Data data) { return data; }

Data made;  // of the worker

void make(Data data) { made = std::move(data); }

/// What a task has made is on its way as soon as it returns: the making is another task's.
Data hand_over() { return std::move(made); }

}  // namespace

int main(int argc, char** argv) {
  const bench::Options options = bench::options(argc, argv);
  procpool::ProcessPool pool{1};
  Data data(payload_size / sizeof(int));
  std::iota(data.begin(), data.end(), 0);
  Data copy = data;

  std::vector<double> copied, read, borrowed, returned, read_share, borrowed_share, returned_share;
  for (int run = -2; run < options.count(21, 1); ++run) {
    pool.submit(make, data).get();
    bench::Stopwatch watch;
    std::memcpy(copy.data(), data.data(), payload_size);
    benchmark::ClobberMemory();
    const double copying = watch.lap();
    const long sum = pool.submit(look_at, data).get();
    const double reading = watch.lap();
    const procpool::Borrowed<Data> seen = pool.submit(hand_over).borrow();
    const long seen_sum = look_at(*seen);
    const double borrowing = watch.lap();
    const Data result = pool.submit(give_back, data).get();
    const double returning = watch.lap();
    bench::require(sum == look_at(data) && seen_sum == sum && result == data, "the payload as it was sent");
    if (run < 0) continue;
    copied.push_back(copying);
    read.push_back(reading);
    borrowed.push_back(borrowing);
    returned.push_back(returning);
    read_share.push_back(copying / reading);
    borrowed_share.push_back(copying / borrowing);
    returned_share.push_back(copying / returning);
  }
  const bench::Report report{"payload", "procpool"};
  report.print("64 MiB: memcpy", "ns", copied);
  report.print("64 MiB: read as a span", "ns", read);
  report.print("64 MiB: borrowed", "ns", borrowed);
  report.print("64 MiB: there and back", "ns", returned);
  report.print("share of memcpy's speed: read as a span", "share", read_share);
  report.print("share of memcpy's speed: borrowed", "share", borrowed_share);
  report.print("share of memcpy's speed: there and back", "share", returned_share);
}
