// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How many items of a map go into one task.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>

namespace procpool::detail {

/// Finds the size of each chunk of a map from how long the chunks before it took. A chunk costs its worker about a
/// microsecond and the caller as much, whatever it holds, so it should hold many items; but the map ends with its last
/// chunk, so that should be short.
///
///   start  One item a chunk. Until something was measured an item may as well take a minute as a nanosecond.
///   grow   At most eightfold from what was seen to go well, towards chunks of `target_time`. The time of an item is a
///          mean over the last few chunks, so a slow stretch shrinks the next chunks at once and is soon forgotten.
///   end    A chunk is at most half a worker's equal share of what remains (as in guided self-scheduling), and a whole
///          one where that takes less than `worthwhile_time`. So chunks shrink towards the end down to single items,
///          and all workers finish together, even if the last items take far longer than the first.
///
/// A chunk of the next size is found only when others have come back, so few are under way: while sizes grow, one for
/// each worker, since it costs the caller more to send small chunks than a few workers to wait for it; then one at work
/// and two waiting for each worker. What is not going to change any more is sent at once, for waiting for each chunk
/// costs more than a short one takes.
///
/// Items keep their order: nobody knows which of them are long before they have run, so none can be taken first. A
/// chunk that has begun stays with its worker, where others could only take items from it if each item were claimed by
/// an atomic instruction of its own, which costs more than most items; that the chunks are small where it matters, and
/// single items where times are long or the end is near, serves instead.
///
/// Reads no clock and knows no tasks: whoever sends the chunks reports what it measured. For one thread at a time.
class Chunker {
 public:
  /// Stands for the number of items left in an input range, which nobody knows.
  static constexpr std::size_t unknown = std::numeric_limits<std::size_t>::max();

  /// A chunk of this length costs one per cent more than its items do.
  static constexpr std::chrono::nanoseconds target_time = std::chrono::microseconds(250);
  /// One of this length costs as much more as workers could wait for each other if the last chunks were not shorter.
  static constexpr std::chrono::nanoseconds worthwhile_time = std::chrono::microseconds(10);

  /// Every chunk holds `chunk_size` items, the last one what is left; 0: found from measured times.
  explicit Chunker(int workers, std::size_t chunk_size = 0) noexcept
      : workers_(static_cast<std::size_t>(std::max(workers, 1))), fixed_size_(chunk_size) {}

  /// The number of items that the next chunk should hold: at least 1, at most `remaining`, which are the items that no
  /// chunk holds yet; 0 if none remain. The caller may put fewer into it, for example because they are large.
  [[nodiscard]] std::size_t next_size(std::size_t remaining = unknown) const noexcept;

  /// How many chunks should be under way at most: sent, and not known to be done.
  [[nodiscard]] std::size_t window(std::size_t remaining = unknown) const noexcept;

  /// A chunk of `items` kept its worker busy for `elapsed`. Chunks may be reported in any order, or never.
  void record(std::size_t items, std::chrono::nanoseconds elapsed) noexcept;

 private:
  static constexpr std::size_t growth = 8;
  static constexpr std::size_t largest_size = std::size_t{1} << 20;

  [[nodiscard]] bool is_at_end(std::size_t remaining) const noexcept;
  [[nodiscard]] bool is_growing() const noexcept {
    return static_cast<double>(size_by_growth()) < size_for(target_time);
  }
  [[nodiscard]] std::size_t share_of(std::size_t remaining) const noexcept;
  [[nodiscard]] std::size_t size_by_growth() const noexcept;
  [[nodiscard]] double size_for(std::chrono::nanoseconds time) const noexcept;
  [[nodiscard]] std::size_t size_by_times() const noexcept;

  std::size_t workers_;
  std::size_t fixed_size_;
  std::size_t proven_size_ = 0;  // of the largest chunk reported lately
  double recent_items_ = 0;      // reported so far, each report counting half as much as the one after it
  double recent_time_ = 0;       // of those, in nanoseconds
};

inline std::size_t Chunker::next_size(std::size_t remaining) const noexcept {
  if (fixed_size_ != 0) return std::min(fixed_size_, remaining);
  const std::size_t size = is_at_end(remaining) ? share_of(remaining) : size_by_times();
  return std::clamp<std::size_t>(size, std::min<std::size_t>(1, remaining), remaining);
}

inline std::size_t Chunker::window(std::size_t remaining) const noexcept {
  if (fixed_size_ != 0 || is_at_end(remaining)) return workers_ * 64;
  return is_growing() ? workers_ + 1 : workers_ * 3;
}

inline void Chunker::record(std::size_t items, std::chrono::nanoseconds elapsed) noexcept {
  proven_size_ = std::max(proven_size_ / 2, std::min(items, largest_size));
  recent_items_ = recent_items_ / 2 + static_cast<double>(items);
  recent_time_ = recent_time_ / 2 + static_cast<double>(elapsed.count());
}

inline bool Chunker::is_at_end(std::size_t remaining) const noexcept {
  return remaining != unknown && share_of(remaining) <= size_by_times();
}

inline std::size_t Chunker::share_of(std::size_t remaining) const noexcept {
  const std::size_t share = remaining / workers_;
  const double worthwhile = size_for(worthwhile_time);
  if (static_cast<double>(share) <= worthwhile) return share;
  return std::max(share / 2, static_cast<std::size_t>(worthwhile));
}

inline std::size_t Chunker::size_by_growth() const noexcept {
  return std::min(largest_size, std::max<std::size_t>(1, growth * proven_size_));
}

/// The items that take so long, as things are; more than there can be if nothing was measured.
inline double Chunker::size_for(std::chrono::nanoseconds time) const noexcept {
  constexpr double any = static_cast<double>(unknown);
  return recent_time_ > 0 ? static_cast<double>(time.count()) * recent_items_ / recent_time_ : any;
}

inline std::size_t Chunker::size_by_times() const noexcept {
  return static_cast<std::size_t>(std::min(static_cast<double>(size_by_growth()), size_for(target_time)));
}

}  // namespace procpool::detail
