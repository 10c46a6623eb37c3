// expect: a C array can only be sent if.*Send a std::array
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, const std::string (&lines)[3]) { encoding.add(lines); }
