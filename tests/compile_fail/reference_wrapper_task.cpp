// expect: std::ref refers to a function object of this process.*Give the function object itself
// SPDX-License-Identifier: BSL-1.0

#include <functional>

#include <procpool/serial/callable.hpp>

struct Doubler {
  int operator()(int x) const { return 2 * x; }
};

void send(procpool::detail::Encoding& encoding, Doubler& doubler) {
  const auto function = std::ref(doubler);
  procpool::detail::encode_callable(encoding, function);
}
