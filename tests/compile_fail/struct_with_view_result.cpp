// expect: a view of memory of this process.*hold a std::string
// SPDX-License-Identifier: BSL-1.0

#include <string_view>

#include <procpool/serial/crossing.hpp>

struct Word {
  std::string_view text;
  int count;
};

void receive() { procpool::detail::require_crossing_result<Word>(); }
