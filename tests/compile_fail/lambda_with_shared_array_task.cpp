// expect: this lambda captures something.*procpool::partial
// SPDX-License-Identifier: BSL-1.0

#include <procpool/pool/shared_array.hpp>
#include <procpool/serial/callable.hpp>

void send(const procpool::SharedArray<int>& array) {
  const auto write = [array](int i) { array[0] = i; };
  procpool::detail::require_callable<std::decay_t<decltype(write)>>();
}
