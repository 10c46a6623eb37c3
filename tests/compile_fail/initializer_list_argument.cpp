// expect: a view of memory of this process.*std::vector
// SPDX-License-Identifier: BSL-1.0

#include <initializer_list>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, std::initializer_list<int> items) { encoding.add(items); }
