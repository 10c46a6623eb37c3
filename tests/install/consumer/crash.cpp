// SPDX-License-Identifier: BSL-1.0
//
// Says where its task crashed.

#include <sys/resource.h>

#include <cstdio>

#include <procpool/procpool.hpp>

int* volatile nowhere = nullptr;

int crash() { return *nowhere; }  // the line that is to be named

int main() {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  procpool::ProcessPool pool{1};
  try {
    return pool.submit(crash).get();
  } catch (const procpool::WorkerDied& death) {
    std::printf("%s\n", death.what());
    return death.stack().empty() ? 1 : 0;
  }
}
