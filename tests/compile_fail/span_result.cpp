// expect: cannot return text by pointer or a view.*std::vector
// SPDX-License-Identifier: BSL-1.0

#include <span>

#include <procpool/serial/crossing.hpp>

void receive() { procpool::detail::require_crossing_result<std::span<const double>>(); }
