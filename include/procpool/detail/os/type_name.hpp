// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The names of types, as a person writes them.

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <typeinfo>

namespace procpool::detail {

/// What `name`, from a std::type_info, means in C++; `name` itself if it means nothing.
[[nodiscard]] inline std::string demangle(const char* name) {
  struct FreeText {
    void operator()(char* text) const noexcept { std::free(text); }
  };
  int status = -1;
  const std::unique_ptr<char, FreeText> text(abi::__cxa_demangle(name, nullptr, nullptr, &status));
  return status == 0 && text != nullptr ? std::string(text.get()) : std::string(name);
}

[[nodiscard]] inline std::string type_name(const std::type_info& type) { return demangle(type.name()); }

}  // namespace procpool::detail
