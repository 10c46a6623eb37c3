// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Texts of errors, put together from pieces.

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace procpool::detail {

/// A piece of a message: a text or a whole number.
class MessagePart {
 public:
  MessagePart(const char* text) : text_(text) {}
  MessagePart(std::string_view text) : text_(text) {}
  MessagePart(const std::string& text) : text_(text) {}
  template <std::integral Number>
  MessagePart(Number number)
      : number_(static_cast<unsigned long long>(number)), kind_(number < Number{} ? Kind::negative : Kind::number) {}

  void append_to(std::string& message) const;

 private:
  enum class Kind : unsigned char { text, number, negative };

  std::string_view text_ = {};
  unsigned long long number_ = 0;
  Kind kind_ = Kind::text;
};

/// The pieces, one after another. One function for all messages, kept out of line: the same done with `+` is inlined a
/// dozen times per message, and everyone who includes the library waits for it.
[[nodiscard, gnu::cold]] std::string message(std::initializer_list<MessagePart> parts);

/// A number as a person writes an address: "0x7f00".
[[nodiscard, gnu::cold]] inline std::string hexadecimal(std::uintptr_t number);

[[gnu::cold]] inline void MessagePart::append_to(std::string& message) const {
  switch (kind_) {
    case Kind::text: message.append(text_); break;
    case Kind::number: message.append(std::to_string(number_)); break;
    case Kind::negative: message.append(std::to_string(static_cast<long long>(number_))); break;
  }
}

inline std::string message(std::initializer_list<MessagePart> parts) {
  std::string whole;
  for (const MessagePart& part : parts) part.append_to(whole);
  return whole;
}

inline std::string hexadecimal(std::uintptr_t number) {
  char text[2 + 2 * sizeof number];
  char* first = text + sizeof text;
  do {
    *--first = "0123456789abcdef"[number % 16];
    number /= 16;
  } while (number != 0);
  *--first = 'x';
  *--first = '0';
  return {first, text + sizeof text};
}

}  // namespace procpool::detail
