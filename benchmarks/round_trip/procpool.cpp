// SPDX-License-Identifier: BSL-1.0

/// @file
/// One task at a time on one worker process, beside bare round trips between two processes: a cache line while
/// everybody spins, a futex and a pipe while everybody sleeps. Pool and limits take turns, so that what else runs on
/// the machine, and the state its cores are in, is the same for all.

#include <vector>

#include "../support/ping_pong.hpp"
#include "../support/procpool_pool.hpp"
#include "round_trip.hpp"

namespace {

using bench::Options;
using bench::Report;

/// The hot limit takes a core for itself, so its partner lives for this measurement only.
void measure_hot(const Options& options, bench::ProcpoolPool& pool) {
  Report{"round_trip", "procpool"}.print("hot", "ns", bench::hot_times(options, bench::task_round_trip(pool)));
  bench::CacheLinePingPong cache_line;
  Report{"round_trip", "cache line"}.print("hot", "ns", bench::hot_times(options, [&] { cache_line.round_trip(); }));
}

void measure_asleep(const Options& options, bench::ProcpoolPool& pool, bench::FutexPingPong& futex,
                    bench::PipePingPong& pipe) {
  std::vector<double> pool_times, futex_times, pipe_times;
  for (int run = 0; run < options.count(51, 5); ++run) {
    pool_times.push_back(bench::asleep_time(bench::task_round_trip(pool)));
    futex_times.push_back(bench::asleep_time([&] { futex.round_trip(); }));
    pipe_times.push_back(bench::asleep_time([&] { pipe.round_trip(); }));
  }
  Report{"round_trip", "procpool"}.print("asleep", "ns", pool_times);
  Report{"round_trip", "futex"}.print("asleep", "ns", futex_times);
  Report{"round_trip", "pipe"}.print("asleep", "ns", pipe_times);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = bench::options(argc, argv);
  bench::FutexPingPong futex;  // The partners are forked before the pool is made, so they hold nothing of it.
  bench::PipePingPong pipe;
  bench::ProcpoolPool pool{1};
  measure_hot(options, pool);
  measure_asleep(options, pool, futex, pipe);
}
