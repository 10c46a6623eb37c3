// expect: cannot return text by pointer or a view.*Return a std::string
// SPDX-License-Identifier: BSL-1.0

#include <string_view>

#include <procpool/serial/crossing.hpp>

void receive() { procpool::detail::require_crossing_result<std::string_view>(); }
