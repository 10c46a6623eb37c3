// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The stack of a crash, as text.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace procpool {

namespace detail {

/// A segment of code as it lay in some process.
struct CodeSegment {
  std::uintptr_t begin;
  std::uintptr_t bytes;
  std::uintptr_t base;  // of its module: offsets are counted from it
  char module[104];     // name of the file, without its folder, as far as it fits; empty: the program

  [[nodiscard]] bool holds(std::uintptr_t address) const noexcept { return address - begin < bytes; }
};

/// The stack of another process of this program, which may have loaded other libraries. Its numbers may be anything:
/// nothing is read from where they point. Plain memory, of which a crash handler needs no more.
struct RawStack {
  static constexpr std::size_t most_frames = 64;
  static constexpr std::size_t most_segments = 8;

  std::size_t frame_count = 0;
  std::size_t segment_count = 0;
  std::uintptr_t frames[most_frames];   // innermost first: where it was, then return addresses
  CodeSegment segments[most_segments];  // of the frames
};

}  // namespace detail

/// The frames of a crash, innermost first. They are named when somebody first asks: that may read files of debug
/// information, for which the thread that learns of the crash has no time. Copies share their contents; any thread may
/// ask at any time.
class CrashStack {
 public:
  using Lines = std::vector<std::string>;

  /// No frames.
  CrashStack() noexcept = default;

  [[gnu::cold]] explicit CrashStack(Lines lines) : shared_(std::make_shared<Shared>()) {
    shared_->lines = std::move(lines);
  }

  /// `describe` is called once, by who asks first; if it throws, by the next who asks.
  [[gnu::cold]] CrashStack(const detail::RawStack& frames, Lines (*describe)(const detail::RawStack&))
      : shared_(std::make_shared<Shared>()) {
    shared_->frames = frames;
    shared_->describe = describe;
  }

  /// One line for each frame: "function at file:line", "function (module+0xoffset)", "module+0xoffset", or the bare
  /// address of what lies in no module. Throws std::bad_alloc.
  [[nodiscard, gnu::cold]] const Lines& lines() const;

 private:
  struct Shared {
    std::mutex mutex;
    detail::RawStack frames;
    Lines (*describe)(const detail::RawStack&) = nullptr;  // under the mutex; null: the lines are there
    Lines lines;  // under the mutex until they are there, and the same ever after
  };

  std::shared_ptr<Shared> shared_;  // null: no frames
};

inline const CrashStack::Lines& CrashStack::lines() const {
  static const Lines none;
  if (shared_ == nullptr) return none;
  const std::lock_guard lock(shared_->mutex);
  if (shared_->describe != nullptr) {
    shared_->lines = shared_->describe(shared_->frames);
    shared_->describe = nullptr;
  }
  return shared_->lines;
}

}  // namespace procpool
