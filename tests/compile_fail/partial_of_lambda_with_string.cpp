// expect: this lambda captures.*procpool::partial
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/serial/callable.hpp>

void send(procpool::detail::Encoding& encoding, const std::string& prefix) {
  const auto function = procpool::partial([prefix](int n) { return prefix.substr(0, n); }, 3);
  procpool::detail::encode_callable(encoding, function);
}
