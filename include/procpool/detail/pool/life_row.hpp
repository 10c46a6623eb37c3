// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What the supervisor and the zygote tell each other about the processes that are a worker, one after another.
///
/// Shared by  the supervisor, who wishes, and the zygote, who forks and reaps. Workers map it read-only: no wild write of a
///            task's can make a death go unseen.
/// Crash      the zygote's end ends the pool, and so does the user's process's.

#include <atomic>
#include <cstdint>

#include <procpool/detail/result/extent.hpp>

namespace procpool::detail {

struct alignas(64) LifeRow {
  // Written by the supervisor; read by the zygote.
  std::atomic<Life> wanted{0};  // the life that should be; above `born`: to be forked

  // Written by the zygote; read by the supervisor.
  std::atomic<Life> born{0};                // the life that was forked last
  std::atomic<std::int32_t> pid{0};         // of that life
  std::atomic<Life> dead{0};                // the life that was reaped last; the next one belongs to it
  std::atomic<std::int32_t> status{0};      // of waitpid(2)
  std::atomic<std::int32_t> fork_error{0};  // errno of the last attempt to fork; 0: it succeeded
};

/// Steers the processes of a pool. Each word is set once.
struct alignas(64) PoolWords {
  std::atomic<std::uint32_t> is_stopping{0};  // by the user's process: workers leave when they find no work
  std::atomic<std::uint32_t> is_killed{0};    // by the user's process: the zygote kills the workers and leaves
};

}  // namespace procpool::detail
