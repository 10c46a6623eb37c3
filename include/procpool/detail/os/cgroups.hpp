// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Where the control groups of this process lie in the file system.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <procpool/detail/os/read_file.hpp>

namespace procpool::detail {

/// The directories of the cgroups of a process, each followed by those of its parents as far as they are mounted.
struct OwnCgroups {
  std::vector<std::string> v1;  // of the hierarchy of one controller
  std::vector<std::string> v2;  // of the unified hierarchy
};

/// The cgroups of this process. What cannot be read or makes no sense is left out. Tests put `root` before every path.
[[nodiscard, gnu::cold]] inline OwnCgroups own_cgroups(std::string_view controller, const std::string& root);

/// Takes the part of `text` up to the first `separator`, and removes both from it.
[[gnu::cold]] inline std::string_view take_field(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

/// True if the comma-separated `list` holds `word`.
[[gnu::cold]] inline bool list_holds(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    if (take_field(list, ',') == word) return true;
  }
  return false;
}

/// The process's cgroup of one hierarchy, relative to that hierarchy's root: "/user.slice/app".
struct CgroupPaths {
  std::string v1;  // of the hierarchy with the controller; empty if there is none
  std::string v2;  // of the unified hierarchy; empty if there is none
};

/// Reads /proc/self/cgroup, whose lines are `number:controllers:path`, the unified one being `0::path`.
[[gnu::cold]] inline CgroupPaths read_cgroup_paths(std::string_view controller, const std::string& root) {
  const std::string contents = read_file(root + "/proc/self/cgroup");
  CgroupPaths paths;
  for (std::string_view rest = contents; !rest.empty();) {
    std::string_view line = take_field(rest, '\n');
    const std::string_view number = take_field(line, ':');
    const std::string_view controllers = take_field(line, ':');
    if (number == "0" && controllers.empty()) paths.v2 = line;
    if (list_holds(controllers, controller)) paths.v1 = line;
  }
  return paths;
}

/// Undoes the escapes of /proc/self/mountinfo: \040 for a space, and the like.
[[gnu::cold]] inline std::string unescaped(std::string_view text) {
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

/// Adds the directory of cgroup `path` in the file system that is mounted at `mount_point` and shows the hierarchy from
/// `mount_root` on, then each of its parents up to the mount point. Adds nothing if the mount does not show that
/// cgroup, as a bind mount of some other one does not.
[[gnu::cold]] inline void add_directories(std::string_view path, std::string_view mount_root,
                                          const std::string& mount_point, std::vector<std::string>& directories) {
  if (mount_root == "/") mount_root = {};
  if (path.empty() || path.substr(0, mount_root.size()) != mount_root) return;
  path.remove_prefix(mount_root.size());
  if (path == "/") path = {};
  if ((!path.empty() && path[0] != '/') || path.find("/..") != path.npos) return;
  std::string directory = mount_point;
  directory += path;
  for (;; directory.erase(directory.rfind('/'))) {
    directories.push_back(std::string(directory));
    if (directory.size() <= mount_point.size()) return;
  }
}

inline OwnCgroups own_cgroups(std::string_view controller, const std::string& root) {
  const CgroupPaths paths = read_cgroup_paths(controller, root);
  OwnCgroups own;
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
    if (type == "cgroup" && list_holds(line, controller)) add_directories(paths.v1, mount_root, mount_point, own.v1);
    if (type == "cgroup2") add_directories(paths.v2, mount_root, mount_point, own.v2);
  }
  return own;
}

}  // namespace procpool::detail
