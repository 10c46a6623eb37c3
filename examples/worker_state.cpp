// SPDX-License-Identifier: BSL-1.0
//
// What many tasks share: an expensive object that each worker builds once, and a dictionary that is sent once.

#include <cstddef>
#include <cstdio>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include <procpool/procpool.hpp>

/// The sieve of Eratosthenes: slow to build, quick to ask, too large to send with each task.
class Sieve {
 public:
  static inline int built = 0;  // in this process

  explicit Sieve(std::size_t end) : is_composite_(end) {
    ++built;
    for (std::size_t p = 2; p * p < end; ++p) {
      if (is_composite_[p]) continue;
      for (std::size_t n = p * p; n < end; n += p) is_composite_[n] = true;
    }
  }

  bool is_prime(long n) const { return n > 1 && !is_composite_[static_cast<std::size_t>(n)]; }

 private:
  std::vector<bool> is_composite_;
};

/// The pool passes the worker's sieve, because without it this cannot be called.
long primes_in_million(const Sieve& sieve, long million) {
  long primes = 0;
  for (long n = million * 1'000'000; n < (million + 1) * 1'000'000; ++n) primes += sieve.is_prime(n);
  return primes;
}

using Dictionary = std::map<char, std::string>;

std::string in_morse(const Dictionary& morse, const std::string& word) {
  std::string signs;
  for (const char letter : word) signs += (signs.empty() ? "" : " ") + morse.at(letter);
  return signs;
}

int main() {
  procpool::ProcessPool pool{2, [] { return Sieve(10'000'000); }};

  const auto primes = pool.map(primes_in_million, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  std::printf("%ld primes below ten million\n", std::accumulate(primes.begin(), primes.end(), 0L));
  for (const int built : pool.run_on_each_worker([] { return Sieve::built; })) std::printf("built %d time\n", built);

  const Dictionary morse = {{'a', ".-"},  {'c', "-.-."}, {'h', "...."}, {'k', "-.-"}, {'l', ".-.."},
                            {'o', "---"}, {'p', ".--."}, {'r', ".-."},  {'s', "..."}, {'w', ".--"}};
  const std::vector<std::string> words = {"procpool", "also", "works", "as", "a", "clock"};
  for (const auto& signs : pool.map(procpool::partial(in_morse, morse), words)) std::puts(signs.c_str());
}
