// expect: has bit-fields.*Give it a .serialize
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/serial/encoding.hpp>

struct File {
  std::string name;
  unsigned readable : 1;
  unsigned writable : 1;
};

void send(procpool::detail::Encoding& encoding, const File& file) { encoding.add(file); }
