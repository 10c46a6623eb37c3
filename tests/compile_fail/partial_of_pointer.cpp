// expect: is or holds a pointer.*Send what it points to
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/partial.hpp>

int first(const int* values);

auto bind(int* values) { return procpool::partial(first, values); }
