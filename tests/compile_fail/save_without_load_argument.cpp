// expect: written but not read.*both
// SPDX-License-Identifier: BSL-1.0

#include <procpool/serial/encoding.hpp>

class Half {
 public:
  template <class Archive>
  void save(Archive& archive) const {
    archive(value_);
  }

 private:
  int value_ = 0;
};

void send(procpool::detail::Encoding& encoding, const Half& half) { encoding.add(half); }
