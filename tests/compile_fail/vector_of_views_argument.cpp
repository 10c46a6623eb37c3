// expect: a view of memory of this process.*hold a std::string
// SPDX-License-Identifier: BSL-1.0

#include <string_view>
#include <vector>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, const std::vector<std::string_view>& words) { encoding.add(words); }
