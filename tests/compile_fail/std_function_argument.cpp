// expect: holds a function.*procpool::partial
// SPDX-License-Identifier: BSL-1.0

#include <functional>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, const std::function<int(int)>& f) { encoding.add(f); }
