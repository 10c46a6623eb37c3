// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Runs a task's code so that every exception becomes its result. What does not throw pays nothing for it, not even
/// calls: an item of a map may be a single addition.

#include <cxxabi.h>

#include <exception>

#include <procpool/detail/task/result_codec.hpp>

namespace procpool::detail {

/// `pthread_exit` and cancellation unwind by an exception that must not be kept: they end the worker, which is
/// reported.
template <class Body, class OnException>
[[gnu::always_inline]] inline void run_guarded(Body body, OnException on_exception) {
  try {
    body();
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    on_exception(std::current_exception());
  }
}

/// What `attempt()` returns. If it throws, it is called again as often as the terms of the task in hand say. As cheap.
template <class Attempt>
[[gnu::always_inline]] inline decltype(auto) try_often(WorkerSelf& worker, Attempt attempt) {
  for (int left = worker.retries_on_exception;;) {
    try {
      return attempt();
    } catch (const abi::__forced_unwind&) {
      throw;
    } catch (...) {
      if (!worker.may_try_again(left)) throw;
    }
  }
}

}  // namespace procpool::detail
