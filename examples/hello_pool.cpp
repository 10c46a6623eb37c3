// SPDX-License-Identifier: BSL-1.0
//
// The first program: a pool of worker processes, one per CPU, runs functions in parallel.

#include <cstdio>
#include <vector>

#include <procpool/procpool.hpp>

bool is_prime(long n) {
  for (long d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return n > 1;
}

int main() {
  procpool::ProcessPool pool;                                          // one worker process per CPU
  auto answer = pool.submit(is_prime, 1'000'003);                      // runs in one of them
  auto squares = pool.map([](int x) { return x * x; }, {1, 2, 3, 4});  // in all of them, results in order
  for (int square : squares) std::printf("%d ", square);               // 1 4 9 16
  std::printf("%s\n", answer.get() ? "prime" : "not prime");           // prime
}
