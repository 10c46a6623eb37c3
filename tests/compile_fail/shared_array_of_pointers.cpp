// expect: elements of a SharedArray.*indices for pointers
// SPDX-License-Identifier: BSL-1.0

#include <procpool/pool/shared_array.hpp>

struct Node {
  int value;
  Node* next;
};

void use(const procpool::SharedArray<Node>& nodes) { static_cast<void>(nodes.size()); }
