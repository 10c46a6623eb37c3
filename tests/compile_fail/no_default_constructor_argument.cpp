// expect: no public default constructor.*Give it one
// SPDX-License-Identifier: BSL-1.0

#include <string>

#include <procpool/serial/encoding.hpp>

class Name {
 public:
  explicit Name(std::string text) : text_(std::move(text)) {}

  template <class Archive>
  void serialize(Archive& archive) {
    archive(text_);
  }

 private:
  std::string text_;
};

void send(procpool::detail::Encoding& encoding, const Name& name) { encoding.add(name); }
