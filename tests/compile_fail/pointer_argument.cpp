// expect: holds a pointer.*Send what it points to
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, int* pointer) { encoding.add(pointer); }
