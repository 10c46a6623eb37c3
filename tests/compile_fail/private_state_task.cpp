// expect: nothing is known of how to send this function object.*`serialize`
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/serial/callable.hpp>

class Prefix {
 public:
  explicit Prefix(std::string text) : text_(std::move(text)) {}
  std::string operator()(const std::string& word) const { return text_ + word; }

 private:
  std::string text_;
};

void send(procpool::detail::Encoding& encoding, const Prefix& function) {
  procpool::detail::encode_callable(encoding, function);
}
