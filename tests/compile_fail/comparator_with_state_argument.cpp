// expect: a comparator, hash or deleter with state.*Use one without
// SPDX-License-Identifier: BSL-1.0

#include <set>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, const std::set<int, bool (*)(int, int)>& numbers) {
  encoding.add(numbers);
}
