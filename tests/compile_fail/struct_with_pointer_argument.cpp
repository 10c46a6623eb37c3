// expect: holds a pointer.*Send what it points to
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/encoding.hpp>

struct Node {
  char name[16];
  Node* next;
};

void send(procpool::detail::Encoding& encoding, const Node& node) { encoding.add(node); }
