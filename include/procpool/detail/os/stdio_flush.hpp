// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Standard output and error across a fork: written out before it, so that no text appears twice.

#include <ext/stdio_sync_filebuf.h>
#include <stdio.h>
#include <stdio_ext.h>

#include <iostream>  // declares std::cout, which may hold text of its own; no other header does
#include <typeinfo>

namespace procpool::detail {

/// True if std::cout keeps text of its own, after `std::ios::sync_with_stdio(false)`.
[[nodiscard]] inline bool cout_has_its_own_buffer() noexcept {
  const std::streambuf* buffer = std::cout.rdbuf();
  return buffer != nullptr && typeid(*buffer) != typeid(__gnu_cxx::stdio_sync_filebuf<char>);
}

/// Writes out what stdout, stderr and std::cout hold. Never all streams: `fflush(nullptr)` deadlocks while another
/// thread reads stdin.
[[gnu::noinline]] inline void flush_standard_streams() noexcept {
  try {
    if (cout_has_its_own_buffer()) std::cout.flush();
  } catch (...) {  // The user asked std::cout for exceptions; a full disk is not ours to report here.
  }
  if (::__fpending(stdout) > 0) ::fflush(stdout);
  if (::__fpending(stderr) > 0) ::fflush(stderr);
}

/// The same before a fork, which must not wait for a thread that holds a stream's lock: it may be stuck in a write, or
/// wait for this one. What it leaves is written out by this process later; the child is to forget it.
inline void flush_standard_streams_before_fork() noexcept {
  for (FILE* const stream : {stdout, stderr}) {
    if (::ftrylockfile(stream) != 0) continue;
    ::fflush_unlocked(stream);
    ::funlockfile(stream);
  }
  try {
    if (cout_has_its_own_buffer()) std::cout.flush();
  } catch (...) {  // as above
  }
}

/// Forgets, in a child, text that is left after the flush: the parent has it too.
inline void purge_standard_streams() noexcept {
  ::__fpurge(stdout);
  ::__fpurge(stderr);
}

/// Tells whether stdout or stderr have been written to, for two loads: cheap enough for every item of a map.
class StreamWatch {
 public:
  /// Writes out what they hold, for from now on nothing is to be there.
  StreamWatch() noexcept : out_(stdout), err_(stderr) { flush(); }

  /// True also where a stream was given another buffer. What a program puts in the place of stdout is not watched.
  [[nodiscard]] bool has_changed() const noexcept {
    return out_->_IO_write_ptr != out_end_ || err_->_IO_write_ptr != err_end_;
  }
  void flush() noexcept {
    flush_standard_streams();
    out_end_ = out_->_IO_write_ptr;
    err_end_ = err_->_IO_write_ptr;
  }

 private:
  const FILE* out_;
  const FILE* err_;
  const char* out_end_ = nullptr;  // where the next character goes
  const char* err_end_ = nullptr;
};

}  // namespace procpool::detail
