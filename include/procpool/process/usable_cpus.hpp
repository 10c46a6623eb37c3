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

#include <procpool/detail/os/cgroups.hpp>
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

inline int cpus_of_cgroups(const std::string& root) {
  const OwnCgroups cgroups = own_cgroups("cpu", root);
  int limit = no_cpu_limit;
  for (const std::string& directory : cgroups.v1) {
    const std::string quota = read_file(directory + "/cpu.cfs_quota_us");
    const std::string period = read_file(directory + "/cpu.cfs_period_us");
    std::string_view quota_text = quota, period_text = period;
    limit = std::min(limit, cpus_of_quota(take_field(quota_text, '\n'), take_field(period_text, '\n')));
  }
  for (const std::string& directory : cgroups.v2) {
    const std::string contents = read_file(directory + "/cpu.max");  // "150000 100000" or "max 100000"
    std::string_view period = contents;
    const std::string_view quota = take_field(period, ' ');
    limit = std::min(limit, cpus_of_quota(quota, take_field(period, '\n')));
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
