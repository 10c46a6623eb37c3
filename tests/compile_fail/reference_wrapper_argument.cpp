// expect: std::ref and std::cref.*Send the value
// SPDX-License-Identifier: BSL-1.0

#include <functional>
#include <vector>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, std::vector<int>& values) { encoding.add(std::ref(values)); }
