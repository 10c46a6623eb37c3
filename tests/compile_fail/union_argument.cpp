// expect: is a union.*is_plain_data
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/encoding.hpp>

union Word {
  int number;
  float real;
};

void send(procpool::detail::Encoding& encoding, const Word& word) { encoding.add(word); }
