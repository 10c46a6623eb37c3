// expect: deleted
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/future/future.hpp>

std::size_t length(procpool::Future<std::string> text) {
  const std::string_view dangling = *text.borrow();
  return dangling.size();
}
