// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What code that runs in a worker may ask about it. In any other process each call is a UsageError.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <typeinfo>

#include <procpool/detail/os/type_name.hpp>
#include <procpool/detail/task/worker_self.hpp>
#include <procpool/error/error.hpp>

namespace procpool::this_worker {

/// From 0 to the pool's number of workers - 1. A worker that replaces a dead one has its index.
[[nodiscard]] inline std::size_t index();

[[nodiscard]] inline ::pid_t pid();

/// A number to seed random generators with: no two workers of a pool ever have the same, and each run of the program
/// gives the same ones, but for workers that replace dead ones. (Generators that were seeded before the pool was made
/// are identical in all workers.)
[[nodiscard]] inline std::uint64_t seed();

/// What the pool's initializer returned in this worker. UsageError if that is not a State.
template <class State>
[[nodiscard]] State& state();

}  // namespace procpool::this_worker

namespace procpool::detail {

[[nodiscard]] inline WorkerSelf& require_worker(const char* call) {
  if (WorkerSelf* self = current_worker()) return *self;
  throw UsageError(std::string("this_worker::") + call + "() was called outside a worker of a pool");
}

}  // namespace procpool::detail

namespace procpool {

inline std::size_t this_worker::index() { return detail::require_worker("index").index; }
inline ::pid_t this_worker::pid() { return detail::require_worker("pid").home.pid(); }
inline std::uint64_t this_worker::seed() { return detail::require_worker("seed").seed; }

template <class State>
State& this_worker::state() {
  const detail::WorkerSelf& self = detail::require_worker("state");
  if (self.state == nullptr || *self.state_type != typeid(State)) {
    throw UsageError("this_worker::state<" + detail::type_name(typeid(State)) + ">(): the pool's initializer returns " +
                     detail::type_name(*self.state_type));
  }
  return *static_cast<State*>(self.state);
}

}  // namespace procpool
