// expect: more than 40 members.*Group them
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/serial/encoding.hpp>

struct Row {
  std::string key;
  int a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21;
  int b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, b16, b17, b18, b19;
};

void send(procpool::detail::Encoding& encoding, const Row& row) { encoding.add(row); }
