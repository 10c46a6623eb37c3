// expect: has a const member.*Make it non-const
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/serial/encoding.hpp>

struct User {
  const std::string name;
  int age;
};

void send(procpool::detail::Encoding& encoding, const User& user) { encoding.add(user); }
