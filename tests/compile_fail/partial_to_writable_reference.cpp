// expect: partial binds a value to a parameter of type `T&`.*const T&
// SPDX-License-Identifier: BSL-1.0

#include <vector>

#include <procpool/serial/partial.hpp>

void append(std::vector<int>& values, int value);

auto bind(const std::vector<int>& values) { return procpool::partial(append, values); }
