// expect: any derived class.*CEREAL_REGISTER_TYPE
// SPDX-License-Identifier: BSL-1.0

#include <memory>

#include <procpool/serial/encoding.hpp>

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
};

void send(procpool::detail::Encoding& encoding, const std::unique_ptr<Shape>& shape) { encoding.add(shape); }
