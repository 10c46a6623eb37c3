// expect: holds a function.*procpool::partial
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/encoding.hpp>

int twice(int value);

void send(procpool::detail::Encoding& encoding) { encoding.add(&twice); }
