// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The bytes that an exception crosses as.

#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>

#include <procpool/serial/byte_buffer.hpp>

namespace procpool::detail {

class KeptBlocks;
struct ExceptionRegistration;

/// Which error_category a code belongs to. Only those that every process knows keep it.
enum class CategoryName : std::uint32_t { generic, system, iostream, foreign };

/// The part of fixed size; type name, message, label and stack of a death and payload follow it, in this order.
struct ExceptionFacts {
  std::uint32_t kind = 0;                         // index into the table of known types
  std::int32_t code = 0;                          // of a std::system_error
  CategoryName category = CategoryName::generic;  // of a std::system_error
  std::int32_t death_pid = 0;                     // this and what follows: of a WorkerDied
  std::int32_t death_signal = 0;
  std::int32_t death_exit_status = -1;
  std::uint64_t death_position = 0;
  std::uint64_t death_has_position = 0;
  std::uint64_t death_address = 0;
  std::uint32_t death_has_address = 0;
  std::uint32_t death_out_of_memory = 0;
  std::int64_t death_ran_for = 0;   // nanoseconds
  std::int64_t death_cpu_time = 0;  // nanoseconds
  std::uint64_t death_peak_memory = 0;
  std::int64_t death_attempt = 1;
  const ExceptionRegistration* registration = nullptr;  // never followed before it is found among one's own
  std::uint64_t type_name_bytes = 0;
  std::uint64_t what_bytes = 0;
  std::uint64_t death_label_bytes = 0;
  std::uint64_t death_stack_bytes = 0;
  std::uint64_t payload_bytes = 0;
};

/// What a worker tells of an exception.
struct ExceptionReport {
  ExceptionFacts facts;
  std::string type_name;
  std::string what;
  std::string death_label;
  std::string death_stack;  // a line for each frame
  ByteBuffer payload;       // a registered type's own encoding
};

/// An exception on its way out of a worker. When memory is short it needs no heap.
class EncodedException {
 public:
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return is_shortened_ ? std::span(shortened_).first(shortened_size_) : std::span(whole_.data(), whole_.size());
  }

  /// Takes all of `report`. Throws std::bad_alloc.
  [[gnu::cold]] void assign(const ExceptionReport& report);

  /// Takes `facts` and as much of the texts as finds room.
  [[gnu::cold]] void assign_shortened(ExceptionFacts facts, std::string_view type_name, std::string_view what) noexcept;

 private:
  ByteBuffer whole_;
  std::array<std::byte, 512> shortened_{};
  std::size_t shortened_size_ = 0;
  bool is_shortened_ = false;
};

/// Where the exception came from, for the process that receives it, and views of what it was told.
struct ReceivedException {
  ExceptionFacts facts;
  std::string_view type_name;
  std::string_view what;
  std::string_view death_label;
  std::string_view death_stack;
  std::span<const std::byte> payload;
  ::pid_t pid = 0;
  std::string_view label;
  const KeptBlocks* kept = nullptr;  // what it may name

  /// False if `bytes` are none that EncodedException made.
  [[nodiscard, gnu::cold]] bool read(std::span<const std::byte> bytes) noexcept;
};

class RebuildSource;

/// A type that register_exception() has announced. Lives as long as the program.
struct ExceptionRegistration {
  const std::type_info* type;

  /// Writes the exception that is being handled; false if it is no `type`. Throws what the user's code does.
  bool (*encode_current)(ByteBuffer& payload);

  /// Null if the user's code or the payload fails.
  std::exception_ptr (*rebuild)(const ReceivedException& received, const RebuildSource& source);

  const ExceptionRegistration* next = nullptr;  // set before it is published, and never again
};

inline void EncodedException::assign(const ExceptionReport& report) {
  ExceptionFacts facts = report.facts;
  facts.type_name_bytes = report.type_name.size();
  facts.what_bytes = report.what.size();
  facts.death_label_bytes = report.death_label.size();
  facts.death_stack_bytes = report.death_stack.size();
  facts.payload_bytes = report.payload.size();
  whole_.append(&facts, sizeof facts);
  whole_.append(report.type_name.data(), report.type_name.size());
  whole_.append(report.what.data(), report.what.size());
  whole_.append(report.death_label.data(), report.death_label.size());
  whole_.append(report.death_stack.data(), report.death_stack.size());
  whole_.append(report.payload.data(), report.payload.size());
}

inline void EncodedException::assign_shortened(ExceptionFacts facts, std::string_view type_name,
                                               std::string_view what) noexcept {
  constexpr std::size_t room = sizeof shortened_ - sizeof facts;
  facts.registration = nullptr;
  facts.type_name_bytes = std::min(type_name.size(), room / 2);
  facts.what_bytes = std::min(what.size(), room - room / 2);
  facts.death_label_bytes = 0;
  facts.death_stack_bytes = 0;
  facts.payload_bytes = 0;
  std::byte* at = shortened_.data();
  std::memcpy(at, &facts, sizeof facts);
  at += sizeof facts;
  if (!type_name.empty()) std::memcpy(at, type_name.data(), facts.type_name_bytes);
  at += facts.type_name_bytes;
  if (!what.empty()) std::memcpy(at, what.data(), facts.what_bytes);
  shortened_size_ = sizeof facts + facts.type_name_bytes + facts.what_bytes;
  is_shortened_ = true;
}

inline bool ReceivedException::read(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() < sizeof facts) return false;
  std::memcpy(&facts, bytes.data(), sizeof facts);
  bytes = bytes.subspan(sizeof facts);
  const auto take = [&bytes](std::uint64_t size) noexcept {
    const auto part = bytes.first(size <= bytes.size() ? static_cast<std::size_t>(size) : 0);
    bytes = bytes.subspan(part.size());
    return part;
  };
  const auto take_text = [&take](std::uint64_t size) noexcept {
    const auto part = take(size);
    return std::string_view(reinterpret_cast<const char*>(part.data()), part.size());
  };
  type_name = take_text(facts.type_name_bytes);
  what = take_text(facts.what_bytes);
  death_label = take_text(facts.death_label_bytes);
  death_stack = take_text(facts.death_stack_bytes);
  payload = take(facts.payload_bytes);
  return bytes.empty() && type_name.size() == facts.type_name_bytes && what.size() == facts.what_bytes &&
         death_label.size() == facts.death_label_bytes && death_stack.size() == facts.death_stack_bytes &&
         payload.size() == facts.payload_bytes;
}

}  // namespace procpool::detail
