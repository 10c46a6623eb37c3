// SPDX-License-Identifier: BSL-1.0

/// @file
/// One task at a time on a process between two message queues of Boost.Interprocess.

#include "../support/message_queue_pool.hpp"
#include "round_trip.hpp"

int main(int argc, char** argv) {
  return bench::measure_round_trip<bench::MessageQueuePool>(bench::options(argc, argv));
}
