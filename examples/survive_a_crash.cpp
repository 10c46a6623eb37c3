// SPDX-License-Identifier: BSL-1.0
//
// A thousand items, some of which crash: every other item still gives its result, and who died is told of each.
//
// In Python's multiprocessing.Pool the map would never return; with concurrent.futures the pool would be broken.

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <procpool/procpool.hpp>

char* volatile wild_pointer = reinterpret_cast<char*>(1);

long square(int item) {
  if (item % 250 == 17) *wild_pointer = 'x';
  if (item % 250 == 101) throw std::invalid_argument("no square for " + std::to_string(item));
  if (item % 250 == 202) std::exit(3);
  return static_cast<long>(item) * item;
}

int main() {
  procpool::ProcessPool pool;
  std::vector<int> items(1000);
  std::iota(items.begin(), items.end(), 0);

  long sum = 0;
  int survivors = 0;
  for (const procpool::Outcome<long>& outcome : pool.with({.label = "square"}).map_outcomes(square, items)) {
    try {
      sum += outcome.value();
      ++survivors;
    } catch (const procpool::WorkerDied& death) {
      const bool by_signal = death.signal() != 0;
      std::printf("item %3zu: worker %d %s %d\n", outcome.position(), death.pid(),
                  by_signal ? "was killed by signal" : "exited with status",
                  by_signal ? death.signal() : death.exit_status());
    } catch (const std::invalid_argument& error) {
      std::printf("item %3zu: %s\n", outcome.position(), error.what());
    }
  }
  std::printf("%d items lived; the sum of their squares is %ld\n", survivors, sum);
}
