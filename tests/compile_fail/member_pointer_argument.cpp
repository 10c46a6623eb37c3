// expect: holds a pointer to a member.*Send the member
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/encoding.hpp>

struct Point {
  double x, y;
};

void send(procpool::detail::Encoding& encoding) { encoding.add(&Point::x); }
