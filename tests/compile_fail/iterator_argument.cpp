// expect: holds an iterator.*Send the container
// SPDX-License-Identifier: BSL-1.0

#include <vector>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, std::vector<int>::iterator first) { encoding.add(first); }
