// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The two roots of procpool's exceptions: what went wrong at run time, and what was called wrongly.

#include <stdexcept>

namespace procpool {

/// Something failed that the caller could not expect: a worker died, a pool broke, memory ran out.
/// What the operating system refuses is `std::system_error`, as everywhere.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The library was called in a way that it forbids; the message says which rule and what to do. A mistake in the
/// calling program, hence a `std::logic_error`, and no `Error`: a handler of failed tasks does not swallow it.
class UsageError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace procpool
