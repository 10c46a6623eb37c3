// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Which process this is, for the price of a load.

#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include <procpool/detail/os/page_size.hpp>

namespace procpool::detail {

/// Two processes of one line of forks never have the same: the pid below, the number of forks seen above it, because
/// pids are used again and a new pid namespace begins at 1.
enum class ProcessIdentity : std::uint64_t {};

/// The identity of the calling process. One page holds it that the kernel wipes in each fork (MADV_WIPEONFORK), so a
/// child notices even a bare clone(2); where the kernel refuses that, each call is a getpid(2). Only a child of
/// vfork(2), which may do nothing but exec, passes for its parent.
[[nodiscard]] inline ProcessIdentity current_process() noexcept;

/// The pid of the calling process, as getpid(2) but without the system call.
[[nodiscard]] inline ::pid_t current_pid() noexcept;

/// Remembers the process that an object was made in, so that the object can do nothing in another.
class HomeProcess {
 public:
  HomeProcess() noexcept : identity_(current_process()) {}

  /// False in every process forked from the one that made this.
  [[nodiscard]] bool is_here() const noexcept { return current_process() == identity_; }

  [[nodiscard]] ::pid_t pid() const noexcept {
    return static_cast<::pid_t>(static_cast<std::uint64_t>(identity_) & 0xffff'ffffU);
  }

 private:
  ProcessIdentity identity_;
};

class IdentityPage {
 public:
  using Cell = std::atomic<std::uint64_t>;

  [[nodiscard]] static std::uint64_t read() noexcept {
    // (1) acquire-load, pairs with (2): the page behind the pointer is mapped and marked.
    const Cell* cell = cell_.load(std::memory_order_acquire);
    // relaxed: the word is all there is to see.
    if (const std::uint64_t identity = cell != nullptr ? cell->load(std::memory_order_relaxed) : 0; identity != 0) {
      return identity;
    }
    return find_out();
  }

  /// Holds what read() returned last for as long as this is the same process; zero for good where the kernel refused.
  [[nodiscard]] static const Cell& cell() noexcept {
    static_cast<void>(read());
    // (5) acquire-load, pairs with (2): the page behind the pointer is mapped and marked.
    return *cell_.load(std::memory_order_acquire);
  }

 private:
  [[nodiscard]] static std::uint64_t find_out() noexcept;
  [[nodiscard]] static Cell* make() noexcept;
  [[nodiscard]] static bool is_wiped_in_forks(void* page, std::size_t bytes) noexcept;

  inline static constinit std::atomic<Cell*> cell_{nullptr};          // the page; or &refused_
  inline static constinit Cell refused_{0};                           // never written: each read asks the kernel
  inline static constinit std::atomic<std::uint32_t> generation_{0};  // forks seen by this process and its ancestors

  static_assert(Cell::is_always_lock_free, "a signal handler may ask");
};

inline std::uint64_t IdentityPage::find_out() noexcept {
  // (3) acquire-load, pairs with (2): the page behind the pointer is mapped and marked.
  Cell* cell = cell_.load(std::memory_order_acquire);
  if (cell == nullptr) cell = make();
  const auto pid = static_cast<std::uint64_t>(::getpid());
  if (cell == &refused_) return pid;
  // relaxed: only numbers that differ are wanted.
  const std::uint64_t generation = generation_.fetch_add(1, std::memory_order_relaxed) + 1;
  std::uint64_t identity = 0;
  // relaxed: whichever thread of this process comes first names it for all.
  if (cell->compare_exchange_strong(identity, generation << 32 | pid, std::memory_order_relaxed)) {
    identity = generation << 32 | pid;
  }
  return identity;
}

inline IdentityPage::Cell* IdentityPage::make() noexcept {
  const std::size_t bytes = page_size();
  void* page = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Cell* made = &refused_;
  if (page != MAP_FAILED && is_wiped_in_forks(page, bytes)) made = ::new (page) Cell(0);
  Cell* none = nullptr;
  // (2) release-rmw, pairs with (1), (3), (4), (5): the page is mapped and marked.
  // relaxed: on failure (4) looks again.
  if (cell_.compare_exchange_strong(none, made, std::memory_order_release, std::memory_order_relaxed)) {
    if (made == &refused_ && page != MAP_FAILED) ::munmap(page, bytes);
    return made;
  }
  if (page != MAP_FAILED) ::munmap(page, bytes);
  // (4) acquire-load, pairs with (2): another thread's page is mapped and marked.
  return cell_.load(std::memory_order_acquire);
}

inline bool IdentityPage::is_wiped_in_forks(void* page, std::size_t bytes) noexcept {
  constexpr int no_such_advice = -1;  // An emulator that accepts this accepts everything and does nothing.
  return ::madvise(page, bytes, no_such_advice) != 0 && ::madvise(page, bytes, MADV_WIPEONFORK) == 0;
}

/// For a loop that asks very often whether this still is the process in which it began.
class ForkWatch {
 public:
  ForkWatch() noexcept : cell_(&IdentityPage::cell()), identity_(IdentityPage::read()) {}

  /// False if it is. If not, and where only the kernel knows, ask HomeProcess.
  [[nodiscard]] bool may_have_forked() const noexcept {
    return cell_->load(std::memory_order_relaxed) != identity_;  // relaxed: the word is all there is to see
  }

 private:
  const IdentityPage::Cell* cell_;
  std::uint64_t identity_;
};

inline ProcessIdentity current_process() noexcept { return ProcessIdentity{IdentityPage::read()}; }

inline ::pid_t current_pid() noexcept { return static_cast<::pid_t>(IdentityPage::read() & 0xffff'ffffU); }

}  // namespace procpool::detail
