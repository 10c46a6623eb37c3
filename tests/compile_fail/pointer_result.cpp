// expect: holds a pointer.*std::unique_ptr
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/crossing.hpp>

void receive() { procpool::detail::require_crossing_result<int*>(); }
