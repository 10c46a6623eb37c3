// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How many processes the kernel has killed because memory ran out.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <procpool/detail/os/cgroups.hpp>

namespace procpool::detail {

/// The value of the line `oom_kill VALUE`; empty if there is none.
[[nodiscard, gnu::cold]] inline std::optional<std::int64_t> oom_kills_in(std::string_view contents) noexcept {
  constexpr std::string_view name = "oom_kill ";
  while (!contents.empty()) {
    const std::string_view line = take_field(contents, '\n');
    if (line.substr(0, name.size()) != name) continue;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(line.data() + name.size(), line.data() + line.size(), value);
    if (error == std::errc{} && end == line.data() + line.size()) return value;
  }
  return std::nullopt;
}

/// Watches the count of the memory cgroup that this process was in when it was made: `memory.events` of version 2,
/// which counts the cgroups below it too, or `memory.oom_control` of version 1, which does not. Where neither can be
/// read, the count of the whole machine, in /proc/vmstat; where that cannot either, nothing.
class OomKills {
 public:
  /// Tests put `root` before every path.
  [[gnu::cold]] explicit OomKills(const std::string& root = {});

  /// True if the kernel has killed more processes since this was made than were taken. Of those, the last `most` are
  /// believed to be of the pool's, which has so many workers.
  [[nodiscard, gnu::cold]] bool has_untaken(std::size_t most) {
    const std::int64_t count = oom_kills_in(read_file(file_)).value_or(taken_);
    taken_ = std::max(taken_, count - static_cast<std::int64_t>(most));
    return count > taken_;
  }

  /// One of them was found. Several may have come before the first death was looked at, so each death takes one.
  void take() noexcept { ++taken_; }

 private:
  std::string file_;        // empty: there is none
  std::int64_t taken_ = 0;  // and what the count was before
};

inline OomKills::OomKills(const std::string& root) {
  const OwnCgroups cgroups = own_cgroups("memory", root);
  std::vector<std::string> files;
  if (!cgroups.v1.empty()) files.push_back(cgroups.v1.front() + "/memory.oom_control");
  // Where its own cgroup does not govern memory, the nearest above it that does counts for it.
  for (const std::string& directory : cgroups.v2) files.push_back(directory + "/memory.events");
  files.push_back(root + "/proc/vmstat");
  for (std::string& file : files) {
    const std::optional<std::int64_t> count = oom_kills_in(read_file(file));
    if (!count) continue;
    file_ = std::move(file);
    taken_ = *count;
    return;
  }
}

}  // namespace procpool::detail
