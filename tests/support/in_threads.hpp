// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Several threads that begin at once.

#include <atomic>
#include <thread>
#include <vector>

namespace support {

/// Runs `body(i)` in `count` threads that begin together, and waits for all of them.
template <class Body>
void in_threads(int count, Body body) {
  std::atomic<bool> begins{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      begins.wait(false);
      body(i);
    });
  }
  begins = true;
  begins.notify_all();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace support
