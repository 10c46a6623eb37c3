// expect: holds a pointer.*Send what it points to
// SPDX-License-Identifier: BSL-1.0

#include <vector>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, const std::vector<double*>& rows) { encoding.add(rows); }
