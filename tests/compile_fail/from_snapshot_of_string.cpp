// expect: from_snapshot sends the bytes.*Capture a pointer or a reference
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/serial/from_snapshot.hpp>

auto wrap(const std::string& text) {
  return procpool::from_snapshot([text] { return text.size(); });
}
