// expect: holds a pointer.*Send what it points to
// SPDX-License-Identifier: BSL-1.0

#include <memory>

#include <procpool/serial/encoding.hpp>

void send(procpool::detail::Encoding& encoding, std::unique_ptr<int*> owner) { encoding.add_owned(std::move(owner)); }
