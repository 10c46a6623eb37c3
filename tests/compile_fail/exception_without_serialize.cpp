// expect: this exception cannot be sent.*constructor from std::string
// SPDX-License-Identifier: BSL-1.0

#include <exception>

#include <procpool/serial/register_exception.hpp>

class Failure : public std::exception {
 public:
  explicit Failure(int code) : code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

void prepare() { procpool::register_exception<Failure>(); }
