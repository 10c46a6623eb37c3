// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The CPU time and the peak memory of this process (getrusage(2)).

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>

#include <procpool/detail/os/unique_fd.hpp>

namespace procpool::detail {

struct OwnUsage {
  std::chrono::nanoseconds cpu_time{0};
  std::size_t peak_memory = 0;  // bytes resident at most, since the process began or forget_peak_memory()
};

[[nodiscard]] inline OwnUsage own_usage() noexcept {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto time = [](const timeval& value) {
    return std::chrono::seconds(value.tv_sec) + std::chrono::microseconds(value.tv_usec);
  };
  return {time(usage.ru_utime) + time(usage.ru_stime), static_cast<std::size_t>(usage.ru_maxrss) * 1024};
}

/// From now on the peak is counted anew; where /proc cannot be written to it stays (proc(5): clear_refs).
inline void forget_peak_memory() noexcept {
  const UniqueFd file(::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));
  [[maybe_unused]] const ::ssize_t written = ::write(file.get(), "5", 1);
}

}  // namespace procpool::detail
