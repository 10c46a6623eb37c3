// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// An initializer that threw: what its worker leaves behind, and what the pool is broken with.
///
/// Shared by  the worker, which writes to its row before it ends, and the supervisor, which reads that after its death.
/// Crash      a worker that dies before it has written leaves no exception; its status says nothing of an initializer.

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string>

#include <procpool/detail/os/stdio_flush.hpp>
#include <procpool/detail/pool/row.hpp>
#include <procpool/error/pool_errors.hpp>
#include <procpool/serial/exception_transport.hpp>

namespace procpool::detail {

/// A worker whose initializer threw ends with it, having left the exception in its row.
inline constexpr int initializer_failed_status = 113;

/// Leaves the initializer's exception where the supervisor finds it.
[[noreturn]] inline void report_failed_initializer(Row& row) noexcept {
  const EncodedException failure = encode_exception(std::current_exception());
  const std::size_t size = failure.bytes().size() <= Row::failure_capacity ? failure.bytes().size() : 0;
  std::memcpy(row.failure, failure.bytes().data(), size);
  // (1) release-store, pairs with (2): the bytes of the failure.
  row.failure_size.store(static_cast<std::uint32_t>(size), std::memory_order_release);
  flush_standard_streams();
  ::_exit(initializer_failed_status);
}

/// What the worker `pid` of this row, which is dead, has left; null if it could not be sent.
[[nodiscard]] inline std::exception_ptr reported_failure(const Row& row, ::pid_t pid) {
  // (2) acquire-load, pairs with (1): the bytes of the failure.
  const std::size_t size = row.failure_size.load(std::memory_order_acquire);
  if (size == 0 || size > Row::failure_capacity) return nullptr;
  return decode_exception({row.failure, size}, pid, "initializer");
}

/// "The initializer failed", with the error that it threw nested inside (std::rethrow_if_nested).
[[nodiscard]] inline std::exception_ptr broken_by_initializer(const std::exception_ptr& cause) {
  const auto wrap = [](const std::string& what) {
    try {
      std::throw_with_nested(BrokenPool("the initializer of the pool's workers failed: " + what +
                                        "; no task can run: mend it and make a new pool"));
    } catch (...) {
      return std::current_exception();
    }
  };
  try {
    if (cause) std::rethrow_exception(cause);
  } catch (const std::exception& error) {
    return wrap(error.what());
  } catch (...) {
    return wrap("it threw something that is no std::exception");
  }
  return std::make_exception_ptr(
      BrokenPool("the initializer of the pool's workers failed; its error could not be sent"));
}

}  // namespace procpool::detail
