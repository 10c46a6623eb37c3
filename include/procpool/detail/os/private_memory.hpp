// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Which words are addresses of this process's private writable memory.

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <procpool/detail/os/page_size.hpp>
#include <procpool/detail/os/unique_fd.hpp>

namespace procpool::detail {

/// True if `word`, taken as an address, lies on a heap, on a stack or in a global variable of this process: memory
/// that no other process shares, so that a process forked earlier has something else there. False for what only looks
/// like an address, for what nothing is mapped at, for constants and code, and for shared mappings. Small and
/// non-canonical numbers cost two compares, addresses of constants and of shared memory a few more; only an address
/// that this thread has not met before costs a reading of /proc/self/maps. Where that is missing: always false.
[[nodiscard]] inline bool points_into_private_writable_memory(std::uintptr_t word) noexcept;

/// Called by whoever unmaps a shared mapping: private memory may come to lie at the same addresses.
inline void forget_shared_mappings() noexcept;

/// One line of /proc/self/maps.
struct MemoryRange {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool private_writable = false;
  bool lasting = false;  // of a file: the program, a library, shared memory; stays as it is until unmapped

  [[nodiscard]] bool contains(std::uintptr_t word) const noexcept { return word - begin < end - begin; }
};

/// Finds the range of this process's memory that contains `word`; an empty one if none does.
class MemoryMapReader {
 public:
  explicit MemoryMapReader(std::uintptr_t word) noexcept;

  [[nodiscard]] const MemoryRange& found() const noexcept { return found_; }
  [[nodiscard]] std::uintptr_t heap() const noexcept { return heap_; }  // where brk(2)'s begins; 0: there is none

 private:
  void take(char next) noexcept;
  void parse_line() noexcept;
  std::uintptr_t parse_hex(std::size_t& at) const noexcept;

  std::uintptr_t word_;
  MemoryRange found_;
  std::uintptr_t heap_ = 0;
  std::array<char, 96> line_{};  // its beginning: a path may be long
  std::size_t length_ = 0;
};

/// The ranges that a thread has met and that no capture is refused for. Trivially destructible, so that even the
/// destructors of static objects may still submit.
class HarmlessRanges {
 public:
  [[nodiscard]] static bool contain(std::uintptr_t word) noexcept;
  static void add(const MemoryRange& range) noexcept;

  /// Begins every search anew, in all threads.
  // relaxed: whoever maps other memory there and hands its address to another thread synchronizes with it.
  static void forget_all() noexcept { epoch_.fetch_add(1, std::memory_order_relaxed); }

 private:
  struct Cache {
    std::array<MemoryRange, 8> ranges{};
    std::size_t next = 0;
    unsigned epoch = 0;
  };

  static Cache& of_this_thread() noexcept {
    static constinit thread_local Cache cache{};
    return cache;
  }

  inline static constinit std::atomic<unsigned> epoch_{0};
};

inline bool HarmlessRanges::contain(std::uintptr_t word) noexcept {
  Cache& cache = of_this_thread();
  // relaxed: see forget_all().
  if (const unsigned now = epoch_.load(std::memory_order_relaxed); cache.epoch != now) cache = Cache{{}, 0, now};
  return std::any_of(cache.ranges.begin(), cache.ranges.end(), [&](const auto& range) { return range.contains(word); });
}

inline void HarmlessRanges::add(const MemoryRange& range) noexcept {
  Cache& cache = of_this_thread();
  cache.ranges[cache.next] = range;
  cache.next = (cache.next + 1) % cache.ranges.size();
}

/// The lowest address that data of a program may have; raised once it is known. Below it lie numbers, and the shadow
/// memory of the sanitizers, which is private and writable too.
inline constinit std::atomic<std::uintptr_t> lowest_data_address{std::uintptr_t{64} << 10};

/// The program itself, the dynamic linker (lowest of all mappings where they grow upwards) or the heap.
[[nodiscard]] inline std::uintptr_t find_lowest_data_address(std::uintptr_t heap) noexcept {
  std::uintptr_t lowest = ::getauxval(AT_PHDR);
  if (const std::uintptr_t linker = ::getauxval(AT_BASE); linker != 0) lowest = std::min(lowest, linker);
  return heap != 0 ? std::min(lowest, heap) : lowest;
}

[[nodiscard]] inline bool is_mapped(std::uintptr_t word) noexcept {
  unsigned char resident = 0;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the question is whether the number is an address.
  return ::mincore(reinterpret_cast<void*>(word & ~(std::uintptr_t{page_size()} - 1)), 1, &resident) == 0;
}

inline bool points_into_private_writable_memory(std::uintptr_t word) noexcept {
  constexpr int address_bits = 48;  // more are given only to those who ask mmap(2) for them
  static_assert(sizeof(word) == 8);
  // relaxed: an old value only costs time.
  if (word < lowest_data_address.load(std::memory_order_relaxed) || word >> address_bits != 0) return false;
  if (HarmlessRanges::contain(word) || !is_mapped(word)) return false;

  const MemoryMapReader map(word);
  // relaxed: as above.
  lowest_data_address.store(find_lowest_data_address(map.heap()), std::memory_order_relaxed);
  if (map.found().lasting && !map.found().private_writable) HarmlessRanges::add(map.found());
  return map.found().private_writable && map.found().contains(word);
}

inline void forget_shared_mappings() noexcept { HarmlessRanges::forget_all(); }

inline MemoryMapReader::MemoryMapReader(std::uintptr_t word) noexcept : word_(word) {
  const UniqueFd file(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
  for (::ssize_t bytes = 0; (bytes = ::read(file.get(), buffer.data(), buffer.size())) > 0;) {
    std::for_each_n(buffer.data(), bytes, [this](char next) { take(next); });
  }
}

inline void MemoryMapReader::take(char next) noexcept {
  if (next == '\n') {
    parse_line();
    length_ = 0;
  } else if (length_ < line_.size()) {
    line_[length_++] = next;
  }
}

/// "55d0c0a00000-55d0c0a21000 rw-p 00000000 00:00 0          [heap]"
inline void MemoryMapReader::parse_line() noexcept {
  std::size_t at = 0;
  MemoryRange range;
  range.begin = parse_hex(at);
  range.end = parse_hex(at);
  if (at + 4 > length_) return;
  const std::string_view flags(line_.data() + at, length_ - at);
  range.private_writable = flags[1] == 'w' && flags[3] == 'p';
  if (flags.find("[heap]") != std::string_view::npos) heap_ = range.begin;
  if (!range.contains(word_)) return;
  for (int skipped = 0; skipped < 3 && at < length_; ++at) skipped += line_[at] == ' ' ? 1 : 0;
  range.lasting = at < length_ && line_[at] != '0';  // the number of its file
  found_ = range;
}

/// Reads a hexadecimal number and the character after it.
inline std::uintptr_t MemoryMapReader::parse_hex(std::size_t& at) const noexcept {
  std::uintptr_t number = 0;
  for (; at < length_; ++at) {
    const char digit = line_[at];
    if (digit >= '0' && digit <= '9') {
      number = number << 4 | static_cast<std::uintptr_t>(digit - '0');
    } else if (digit >= 'a' && digit <= 'f') {
      number = number << 4 | static_cast<std::uintptr_t>(digit - 'a' + 10);
    } else {
      break;
    }
  }
  ++at;
  return number;
}

}  // namespace procpool::detail
