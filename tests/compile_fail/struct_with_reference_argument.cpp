// expect: cannot be looked into.*Hold values
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/encoding.hpp>

struct Counter {
  int& count;
};

void send(procpool::detail::Encoding& encoding, const Counter& counter) { encoding.add(counter); }
