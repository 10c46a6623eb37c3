// expect: std::bind_front cannot be sent.*procpool::partial
// SPDX-License-Identifier: BSL-1.0

#include <functional>

#include <procpool/serial/callable.hpp>

int add(int a, int b);

void send(procpool::detail::Encoding& encoding) {
  const auto function = std::bind_front(add, 1);
  procpool::detail::encode_callable(encoding, function);
}
