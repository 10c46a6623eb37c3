// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How many CPUs this process may keep busy.

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <procpool/detail/os/read_file.hpp>

namespace procpool {

/// The number of CPUs that this process may keep busy, at least 1: those in the affinity mask of the calling thread
/// (which its children inherit), but no more than the CPU quota of its cgroups, versions 1 and 2, rounded up. In a
/// container that may use one and a half of 64 CPUs this says 2, where `std::thread::hardware_concurrency` says 64.
[[nodiscard]] int usable_cpus();

namespace detail {

inline constexpr int no_cpu_limit = std::numeric_limits<int>::max();

/// The number of CPUs in the affinity mask of the calling thread.
[[nodiscard]] inline int cpus_of_affinity();

/// The tightest CPU quota among the process's cgroups and their parents, in CPUs, rounded up; `no_cpu_limit` if there
/// is none. What cannot be read or makes no sense limits nothing. Tests put `root` before every path.
[[nodiscard]] inline int cpus_of_cgroups(const std::string& root = {});

/// Takes the part of `text` up to the first `separator`, and removes both from it.
inline std::string_view take_field(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

/// True if the comma-separated `list` holds `word`.
inline bool list_holds(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    if (take_field(list, ',') == word) return true;
  }
  return false;
}

/// `quota / period` rounded up, both in decimal microseconds; `no_cpu_limit` unless both are positive numbers.
inline int cpus_of_quota(std::string_view quota, std::string_view period) {
  const auto number = [](std::string_view digits) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size() ? value : 0;
  };
  const std::int64_t used = number(quota);
  const std::int64_t of = number(period);
  if (used <= 0 || of <= 0) return no_cpu_limit;
  return static_cast<int>(std::min<std::int64_t>(used / of + (used % of != 0), no_cpu_limit));
}

/// The process's cgroup of one hierarchy, relative to that hierarchy's root: "/user.slice/app".
struct CgroupPaths {
  std::string v1;  // of the hierarchy with the `cpu` controller; empty if there is none
  std::string v2;  // of the unified hierarchy; empty if there is none
};

/// Reads /proc/self/cgroup, whose lines are `number:controllers:path`, the unified one being `0::path`.
inline CgroupPaths read_cgroup_paths(const std::string& root) {
  const std::string contents = read_file(root + "/proc/self/cgroup");
  CgroupPaths paths;
  for (std::string_view rest = contents; !rest.empty();) {
    std::string_view line = take_field(rest, '\n');
    const std::string_view number = take_field(line, ':');
    const std::string_view controllers = take_field(line, ':');
    if (number == "0" && controllers.empty()) paths.v2 = line;
    if (list_holds(controllers, "cpu")) paths.v1 = line;
  }
  return paths;
}

/// Undoes the escapes of /proc/self/mountinfo: \040 for a space, and the like.
inline std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    const auto escape = text.substr(i, 4);
    const bool is_escape = escape.size() == 4 && escape[0] == '\\' &&
                           std::from_chars(escape.data() + 1, escape.data() + 4, code, 8).ptr == escape.data() + 4 &&
                           code < 256;
    plain += is_escape ? static_cast<char>(code) : text[i];
    if (is_escape) i += 3;
  }
  return plain;
}

/// Calls `visit` with the directory of cgroup `path` in the file system that is mounted at `mount_point` and shows
/// the hierarchy from `mount_root` on, then with each of its parents up to the mount point. Calls it never if the mount
/// does not show that cgroup, as a bind mount of some other one does not.
template <class Visit>
void for_each_cgroup_directory(std::string_view path, std::string_view mount_root, const std::string& mount_point,
                               Visit visit) {
  if (mount_root == "/") mount_root = {};
  if (path.empty() || path.substr(0, mount_root.size()) != mount_root) return;
  path.remove_prefix(mount_root.size());
  if (path == "/") path = {};
  if ((!path.empty() && path[0] != '/') || path.find("/..") != path.npos) return;
  std::string directory = mount_point;
  directory += path;
  for (;; directory.erase(directory.rfind('/'))) {
    visit(directory);
    if (directory.size() <= mount_point.size()) return;
  }
}

inline int cpus_of_cgroups(const std::string& root) {
  const CgroupPaths paths = read_cgroup_paths(root);
  int limit = no_cpu_limit;
  const auto read_v1 = [&](const std::string& directory) {
    const std::string quota = read_file(directory + "/cpu.cfs_quota_us");
    const std::string period = read_file(directory + "/cpu.cfs_period_us");
    std::string_view quota_text = quota, period_text = period;
    limit = std::min(limit, cpus_of_quota(take_field(quota_text, '\n'), take_field(period_text, '\n')));
  };
  const auto read_v2 = [&](const std::string& directory) {
    const std::string contents = read_file(directory + "/cpu.max");  // "150000 100000" or "max 100000"
    std::string_view period = contents;
    const std::string_view quota = take_field(period, ' ');
    limit = std::min(limit, cpus_of_quota(quota, take_field(period, '\n')));
  };

  // A line reads `id parent device root mount-point options [optional fields] - type source super-options`.
  const std::string mounts = read_file(root + "/proc/self/mountinfo");
  for (std::string_view rest = mounts; !rest.empty();) {
    std::string_view line = take_field(rest, '\n');
    for (int field = 0; field < 3; ++field) take_field(line, ' ');
    const std::string mount_root = unescaped(take_field(line, ' '));
    const std::string mount_point = root + unescaped(take_field(line, ' '));
    while (!line.empty() && take_field(line, ' ') != "-") continue;
    const std::string_view type = take_field(line, ' ');
    take_field(line, ' ');
    if (type == "cgroup" && list_holds(line, "cpu"))
      for_each_cgroup_directory(paths.v1, mount_root, mount_point, read_v1);
    if (type == "cgroup2") for_each_cgroup_directory(paths.v2, mount_root, mount_point, read_v2);
  }
  return limit;
}

inline int cpus_of_affinity() {
  // The kernel refuses a mask that is shorter than its own, so a machine with more than 1024 CPUs takes a longer one.
  for (std::size_t masks = 1; masks <= 1024; masks *= 2) {
    std::vector<::cpu_set_t> set(masks);
    const std::size_t bytes = masks * sizeof(::cpu_set_t);
    if (::sched_getaffinity(0, bytes, set.data()) == 0) return CPU_COUNT_S(bytes, set.data());
    if (errno != EINVAL) break;
  }
  return static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
}

}  // namespace detail

inline int usable_cpus() { return std::max(1, std::min(detail::cpus_of_affinity(), detail::cpus_of_cgroups())); }

}  // namespace procpool
