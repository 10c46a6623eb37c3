// SPDX-License-Identifier: BSL-1.0

/// @file
/// Small tasks on two processes between two message queues of Boost.Interprocess.

#include "../support/message_queue_pool.hpp"
#include "bulk.hpp"

int main(int argc, char** argv) { return bench::measure_bulk<bench::MessageQueuePool>(bench::options(argc, argv)); }
