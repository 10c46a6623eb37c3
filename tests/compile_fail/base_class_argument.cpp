// expect: has a base class.*Make the base a member
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/serial/encoding.hpp>

struct Named {
  std::string name;
};
struct City : Named {
  int people;
};

void send(procpool::detail::Encoding& encoding, const City& city) { encoding.add(city); }
