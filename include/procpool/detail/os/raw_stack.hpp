// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the numbers of a stack mean.

#include <dlfcn.h>
#include <errno.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#ifdef PROCPOOL_WITH_LIBBACKTRACE
#include <boost/stacktrace/frame.hpp>
#endif

#include <procpool/detail/os/loaded_modules.hpp>
#include <procpool/detail/os/type_name.hpp>
#include <procpool/error/crash_stack.hpp>
#include <procpool/error/message.hpp>

namespace procpool::detail {

/// Of a path, what follows the last slash.
[[nodiscard]] inline std::string_view file_name_of(std::string_view path) noexcept {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

[[nodiscard]] inline CodeSegment segment_of(const ::dl_phdr_info& module, std::uintptr_t begin,
                                            std::uintptr_t bytes) noexcept {
  CodeSegment segment{begin, bytes, module.dlpi_addr, {}};
  if (module.dlpi_name != nullptr) file_name_of(module.dlpi_name).copy(segment.module, sizeof segment.module);
  return segment;
}

/// One line for each frame, as CrashStack has them. Of code that this process does not have at the same place, only
/// module and offset can be told. May read files of debug information.
[[nodiscard, gnu::cold]] std::vector<std::string> describe(const RawStack& stack);

/// The segment of this process's code that holds `address`.
[[nodiscard, gnu::cold]] inline CodeSegment own_segment_at(std::uintptr_t address) {
  CodeSegment found{};
  for_each_code_segment([&](const ::dl_phdr_info& module, std::uintptr_t begin, std::uintptr_t bytes) {
    if (address - begin < bytes) found = segment_of(module, begin, bytes);
  });
  return found;
}

/// What a line of text can show of `name`, which may hold any bytes.
[[nodiscard, gnu::cold]] inline std::string printable(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text;
}

/// "function at file:line" of code of this process; empty without libbacktrace or debug information.
[[nodiscard, gnu::cold]] inline std::string source_line_of([[maybe_unused]] std::uintptr_t address) {
#ifdef PROCPOOL_WITH_LIBBACKTRACE
  const boost::stacktrace::frame frame(std::bit_cast<const void*>(address));
  if (const std::string name = frame.name(); !name.empty() && frame.source_line() != 0) {
    return message({name, " at ", frame.source_file(), ":", frame.source_line()});
  }
#endif
  return {};
}

[[nodiscard, gnu::cold]] inline std::string describe_frame(std::uintptr_t address, const CodeSegment* segment) {
  if (segment == nullptr) return hexadecimal(address);
  const std::string_view module(segment->module, ::strnlen(segment->module, sizeof segment->module));
  std::string place = message({module.empty() ? ::program_invocation_short_name : "", printable(module), "+",
                               hexadecimal(address - segment->base)});
  const CodeSegment own = own_segment_at(address);
  if (std::memcmp(&own, segment, sizeof own) != 0) return place;
  if (std::string line = source_line_of(address); !line.empty()) return line;
  ::Dl_info found{};
  if (::dladdr(std::bit_cast<const void*>(address), &found) == 0 || found.dli_sname == nullptr) return place;
  return message({demangle(found.dli_sname), " (", place, ")"});
}

inline std::vector<std::string> describe(const RawStack& stack) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < stack.frame_count && i < RawStack::most_frames; ++i) {
    // A call may be the last instruction of its function, and its return address lie in the next one.
    const std::uintptr_t address = stack.frames[i] - (i > 0 ? 1 : 0);
    const CodeSegment* segment = nullptr;
    for (std::size_t at = 0; at < stack.segment_count && at < RawStack::most_segments; ++at) {
      if (stack.segments[at].holds(address)) segment = &stack.segments[at];
    }
    lines.push_back(describe_frame(address, segment));
  }
  return lines;
}

static_assert(std::has_unique_object_representations_v<CodeSegment>, "they are compared as bytes");

}  // namespace procpool::detail
