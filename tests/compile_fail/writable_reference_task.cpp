// expect: takes an argument by `T&`.*return the result$
// SPDX-License-Identifier: BSL-1.0

#include <vector>

#include <procpool/serial/signature.hpp>

void sort_in_place(std::vector<int>& values);

void send() { procpool::detail::require_value_parameters<decltype(&sort_in_place)>(); }
