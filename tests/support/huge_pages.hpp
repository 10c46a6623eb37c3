// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the system says of huge pages.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace support {

/// False where the kernel was built without them.
inline bool system_has_huge_pages() { return std::filesystem::exists("/sys/kernel/mm/transparent_hugepage"); }

/// True if huge pages were asked for in the memory there: the flag "hg" of its mapping (proc(5)).
inline bool has_asked_for_huge_pages(const void* at) {
  const auto address = std::bit_cast<std::uintptr_t>(at);
  std::ifstream maps("/proc/self/smaps");
  bool is_here = false;
  for (std::string line; std::getline(maps, line);) {
    const std::size_t dash = line.find('-');
    if (dash != std::string::npos && line.find_first_not_of("0123456789abcdef") == dash) {
      is_here = std::stoull(line, nullptr, 16) <= address && address < std::stoull(line.substr(dash + 1), nullptr, 16);
    } else if (is_here && line.starts_with("VmFlags:")) {
      return (line + ' ').find(" hg ") != std::string::npos;
    }
  }
  return false;
}

}  // namespace support
