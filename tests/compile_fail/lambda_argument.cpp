// expect: holds a lambda.*procpool::partial
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, int& sum) {
  encoding.add([&sum](int value) { sum += value; });
}
