// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How much shared memory a pool reserves when it is not told.

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <procpool/detail/os/page_size.hpp>

namespace procpool::detail {

/// Bytes: the machine's memory, or what is `needed` where that is more, or less where a limit of this process would
/// refuse that. A reservation costs address space only; beyond RLIMIT_FSIZE, though, making it would kill the process.
[[nodiscard]] inline std::size_t default_reservation(std::size_t needed) noexcept {
  constexpr std::size_t most = std::size_t{64} << 30;
  const auto limit_of = [](__rlimit_resource_t resource, std::size_t share) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    return static_cast<std::size_t>(limit.rlim_cur) / share;
  };
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const std::size_t machine = pages > 0 ? static_cast<std::size_t>(pages) * page_size() : most;
  const std::size_t wanted = std::max(std::min(most, machine), needed);
  return std::min({wanted, limit_of(RLIMIT_AS, 4), limit_of(RLIMIT_FSIZE, 1)}) / page_size() * page_size();
}

}  // namespace procpool::detail
