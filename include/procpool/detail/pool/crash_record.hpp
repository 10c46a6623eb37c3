// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a worker that crashes leaves of it in its row.
///
/// Shared by  written by the crash handler of the worker, read by the supervisor after its death.
/// Crash      each step stands by itself, so that a handler that crashes or hangs leaves what it has found so far. Any
///            byte may be a wild write's: counts are checked, and addresses are numbers.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include <procpool/detail/result/extent.hpp>
#include <procpool/error/crash_stack.hpp>

namespace procpool::detail {

/// A crash as its worker told of it.
struct ToldCrash {
  int signal = 0;  // 0: of none
  std::optional<const void*> address = {};
  RawStack stack = {};
  bool is_complete = false;  // else the handler did not come to its end
};

class CrashRecord {
 public:
  // The handler, in this order.
  [[gnu::cold]] void begin(Life life, int signal, std::optional<const void*> address) noexcept;
  /// False if there is no room for more.
  [[gnu::cold]] bool add_frame(std::uintptr_t address) noexcept;
  [[gnu::cold]] void add_segment(const CodeSegment& segment) noexcept;
  void complete() noexcept {
    // (1) release-store, pairs with (2): all that was found.
    completed_.store(begun_.load(std::memory_order_relaxed), std::memory_order_release);  // relaxed: its own
  }

  /// True if one of the frames lies in that code.
  [[nodiscard, gnu::cold]] bool has_frame_in(std::uintptr_t begin, std::uintptr_t bytes) const noexcept;

  /// The crash of that life; of none if it did not crash, or its handler did not come to say so.
  [[nodiscard, gnu::cold]] ToldCrash read(Life life) const noexcept;

 private:
  std::atomic<Life> begun_{0};      // whose crash it is
  std::atomic<Life> completed_{0};  // the same, once all is there
  std::atomic<std::int32_t> signal_{0};
  std::atomic<std::uint32_t> has_address_{0};
  std::atomic<std::uint64_t> address_{0};
  std::atomic<std::uint32_t> frame_count_{0};
  std::atomic<std::uint32_t> segment_count_{0};
  std::uintptr_t frames_[RawStack::most_frames];
  CodeSegment segments_[RawStack::most_segments];
};

inline void CrashRecord::begin(Life life, int signal, std::optional<const void*> address) noexcept {
  // relaxed: this and the next are published by (3).
  signal_.store(signal, std::memory_order_relaxed);
  has_address_.store(address ? 1 : 0, std::memory_order_relaxed);
  address_.store(reinterpret_cast<std::uintptr_t>(address.value_or(nullptr)), std::memory_order_relaxed);
  frame_count_.store(0, std::memory_order_relaxed);
  segment_count_.store(0, std::memory_order_relaxed);
  // (3) release-store, pairs with (4): what is known at once, and that nothing else of it is left of an earlier life.
  begun_.store(life, std::memory_order_release);
}

inline bool CrashRecord::add_frame(std::uintptr_t address) noexcept {
  const std::uint32_t count = frame_count_.load(std::memory_order_relaxed);  // relaxed: the handler's own
  if (count >= RawStack::most_frames) return false;
  frames_[count] = address;
  // (5) release-store, pairs with (6): the frames up to it.
  frame_count_.store(count + 1, std::memory_order_release);
  return count + 1 < RawStack::most_frames;
}

inline void CrashRecord::add_segment(const CodeSegment& segment) noexcept {
  const std::uint32_t count = segment_count_.load(std::memory_order_relaxed);  // relaxed: the handler's own
  if (count >= RawStack::most_segments) return;
  segments_[count] = segment;
  // (7) release-store, pairs with (8): the segments up to it.
  segment_count_.store(count + 1, std::memory_order_release);
}

inline bool CrashRecord::has_frame_in(std::uintptr_t begin, std::uintptr_t bytes) const noexcept {
  const std::uint32_t count = frame_count_.load(std::memory_order_relaxed);  // relaxed: the handler's own
  for (std::uint32_t i = 0; i < count && i < RawStack::most_frames; ++i) {
    if (frames_[i] - (i > 0 ? 1 : 0) - begin < bytes) return true;
  }
  return false;
}

inline ToldCrash CrashRecord::read(Life life) const noexcept {
  ToldCrash crash;
  // (4) acquire-load, pairs with (3): signal and address, and that the rest is of this life.
  if (life == 0 || begun_.load(std::memory_order_acquire) != life) return crash;
  // (2) acquire-load, pairs with (1): all that was found.
  crash.is_complete = completed_.load(std::memory_order_acquire) == life;
  // relaxed: this and the next two were published by (3).
  crash.signal = signal_.load(std::memory_order_relaxed);
  const bool has_address = has_address_.load(std::memory_order_relaxed) == 1;
  const std::uintptr_t address = address_.load(std::memory_order_relaxed);
  if (has_address) crash.address = std::bit_cast<const void*>(address);
  RawStack& stack = crash.stack;
  // (6) acquire-load, pairs with (5): the frames up to it.
  stack.frame_count = std::min<std::size_t>(frame_count_.load(std::memory_order_acquire), RawStack::most_frames);
  std::memcpy(stack.frames, frames_, stack.frame_count * sizeof *frames_);
  // (8) acquire-load, pairs with (7): the segments up to it. The copies do not change between their check and their
  // use.
  stack.segment_count = std::min<std::size_t>(segment_count_.load(std::memory_order_acquire), RawStack::most_segments);
  std::memcpy(stack.segments, segments_, stack.segment_count * sizeof(CodeSegment));
  return crash;
}

}  // namespace procpool::detail
