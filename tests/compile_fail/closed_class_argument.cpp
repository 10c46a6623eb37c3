// expect: private members, which may be pointers.*Give it a .serialize
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/encoding.hpp>

class Text {
 public:
  constexpr Text(const char* begin, unsigned size) : begin_(begin), size_(size) {}

 private:
  const char* begin_;
  unsigned size_;
};

void send(procpool::detail::Encoding& encoding, const Text& text) { encoding.add(text); }
