// expect: a view of memory of this process.*hold a std::string
// SPDX-License-Identifier: BSL-1.0

#include <string_view>

#include <procpool/serial/encoding.hpp>

struct Word {
  std::string_view text;
  int count;
};

void send(procpool::detail::Encoding& encoding, const Word& word) { encoding.add(word); }
