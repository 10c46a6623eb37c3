// expect: not one piece of plain bytes, so it cannot be borrowed. Take it with get()
// SPDX-License-Identifier: BSL-1.0

#include <string>
#include <vector>

#include <procpool/future/future.hpp>

void read(procpool::Future<std::vector<std::string>> words) { static_cast<void>(words.borrow()); }
