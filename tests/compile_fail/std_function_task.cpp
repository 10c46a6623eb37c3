// expect: a std::function cannot be sent.*procpool::partial
// SPDX-License-Identifier: BSL-1.0

#include <functional>

#include <procpool/serial/callable.hpp>

void send(procpool::detail::Encoding& encoding, const std::function<int(int)>& function) {
  procpool::detail::encode_callable(encoding, function);
}
