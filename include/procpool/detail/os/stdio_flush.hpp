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

/// True if stdout or stderr holds text. Cheap enough for every item of a map.
[[nodiscard]] inline bool standard_streams_hold_text() noexcept {
  const auto holds_text = [](const FILE* stream) { return stream->_IO_write_ptr != stream->_IO_write_base; };
  return holds_text(stdout) || holds_text(stderr);
}

/// Writes out what stdout, stderr and std::cout hold. Never all streams: `fflush(nullptr)` deadlocks while another
/// thread reads stdin.
inline void flush_standard_streams() noexcept {
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

}  // namespace procpool::detail
