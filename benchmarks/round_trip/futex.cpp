// SPDX-License-Identifier: BSL-1.0

/// @file
/// Bare round trips one after the other, without a pause and without spinning: each falls asleep each time, but the
/// cores do not.

#include "../support/ping_pong.hpp"
#include "round_trip.hpp"

int main(int argc, char** argv) {
  const bench::Options options = bench::options(argc, argv);
  bench::FutexPingPong futex;
  bench::PipePingPong pipe;
  bench::Report{"round_trip", "futex"}.print("back to back", "ns",
                                             bench::hot_times(options, [&] { futex.round_trip(); }));
  bench::Report{"round_trip", "pipe"}.print("back to back", "ns",
                                            bench::hot_times(options, [&] { pipe.round_trip(); }));
}
