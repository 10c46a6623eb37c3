// expect: cannot be read in place.*Send a std::vector
// SPDX-License-Identifier: BSL-1.0

#include <span>
#include <string>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, std::span<const std::string> lines) { encoding.add(lines); }
