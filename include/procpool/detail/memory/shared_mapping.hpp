// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// One nameless piece of memory that every process forked from here maps at the same address.
///
/// Shared by  the user's process, the zygote and the workers; plain pointers into it are valid in all of them.
/// Crash      it has no name to leak: the kernel frees it with the last process that maps it.

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <procpool/detail/os/page_size.hpp>
#include <procpool/detail/os/unique_fd.hpp>
#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

/// Reserves much and commits little: an address range costs nothing until commit() asks for its pages.
class SharedMapping {
 public:
  /// Reserves `bytes`. Throws SharedMemoryExhausted if the address space refuses.
  explicit SharedMapping(std::size_t bytes);

  [[nodiscard]] std::byte* begin() const noexcept { return static_cast<std::byte*>(region_.get_address()); }
  [[nodiscard]] std::size_t size() const noexcept { return region_.get_size(); }
  [[nodiscard]] int descriptor() const noexcept { return memfd_.get(); }

  /// Makes pages usable before anyone touches them: a refusal here is `false`, a refusal at a touch would be SIGBUS.
  [[nodiscard]] bool commit(const std::byte* from, std::size_t bytes) const noexcept;

  /// Gives whole pages back to the system; they are to be made usable again before anyone touches them. False if it
  /// does not take them: this process has locked its memory (mlockall(2)), say.
  [[nodiscard]] bool give_back(const std::byte* from, std::size_t bytes) const noexcept {
    return ::madvise(begin() + (from - begin()), bytes, MADV_REMOVE) == 0;
  }

  /// From now on a write to this part by this process, and by those that it forks, is a SIGSEGV. It begins with a page.
  void make_read_only(const std::byte* from, std::size_t bytes) const noexcept {
    ::mprotect(begin() + (from - begin()), bytes, PROT_READ);  // A refusal costs this guard only.
  }

  /// Keeps later forks of this process from holding the memory alive.
  void exclude_from_forks() const noexcept { ::madvise(region_.get_address(), region_.get_size(), MADV_DONTFORK); }

 private:
  struct Memfd {  // models Boost.Interprocess's memory-mappable concept
    int fd;
    [[nodiscard]] boost::interprocess::mapping_handle_t get_mapping_handle() const noexcept {
      return boost::interprocess::ipcdetail::mapping_handle_from_file_handle(fd);
    }
  };

  [[nodiscard]] bool has_descriptor() const noexcept;
  [[nodiscard]] static bool populate(std::byte* from, std::size_t bytes) noexcept;

  UniqueFd memfd_;
  ::ino_t inode_ = 0;  // of the memfd; their numbers are unique among all memfds
  ::dev_t device_ = 0;
  boost::interprocess::mapped_region region_;
};

inline SharedMapping::SharedMapping(std::size_t bytes) : memfd_(::memfd_create("procpool", MFD_CLOEXEC)) {
  if (!memfd_.is_open()) throw std::system_error(errno, std::generic_category(), "memfd_create");
  rlimit largest_file{};  // Beyond it ftruncate(2) would end this process (SIGXFSZ).
  const bool is_refused = ::getrlimit(RLIMIT_FSIZE, &largest_file) == 0 && bytes > largest_file.rlim_cur;
  if (is_refused || ::ftruncate(memfd_.get(), static_cast<off_t>(bytes)) != 0) {
    throw SharedMemoryExhausted("the system refuses to reserve " + std::to_string(bytes) +
                                " bytes of shared memory; set PoolOptions::shared_memory to less");
  }
  struct stat file {};
  ::fstat(memfd_.get(), &file);
  inode_ = file.st_ino;
  device_ = file.st_dev;
  try {
    region_ = boost::interprocess::mapped_region(Memfd{memfd_.get()}, boost::interprocess::read_write, 0, bytes);
  } catch (const boost::interprocess::interprocess_exception& refusal) {
    throw SharedMemoryExhausted("cannot map " + std::to_string(bytes) + " bytes of shared memory (" + refusal.what() +
                                "); set PoolOptions::shared_memory to less");
  }
  ::madvise(region_.get_address(), bytes, MADV_DONTDUMP);  // A core dump would otherwise allocate every hole.
}

inline bool SharedMapping::commit(const std::byte* from, std::size_t bytes) const noexcept {
  const auto start = static_cast<std::size_t>(from - begin());
  if (!has_descriptor()) return populate(begin() + start, bytes);
  // A signal makes many kernels undo a whole call: where signals keep coming, each try is for less.
  std::size_t step = std::size_t{64} << 20;
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t now = std::min(bytes - done, step);
    if (::fallocate(memfd_.get(), 0, static_cast<off_t>(start + done), static_cast<off_t>(now)) == 0) {
      done += now;
    } else if (errno == EINTR) {
      step = std::max(page_size(), step / 2);
    } else {
      return false;
    }
  }
  return true;
}

/// False if a task has closed it, and perhaps has a file of its own under the same number.
inline bool SharedMapping::has_descriptor() const noexcept {
  struct stat file {};
  return ::fstat(memfd_.get(), &file) == 0 && file.st_ino == inode_ && file.st_dev == device_;
}

/// Commits by a touch of every page, for which Linux 5.14 or later needs no descriptor.
inline bool SharedMapping::populate([[maybe_unused]] std::byte* from, [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef MADV_POPULATE_WRITE
  const std::size_t before = reinterpret_cast<std::uintptr_t>(from) % page_size();
  while (::madvise(from - before, before + bytes, MADV_POPULATE_WRITE) != 0) {
    if (errno != EINTR) return false;  // What was touched stays, so each try gets further.
  }
  return true;
#else
  return false;
#endif
}

}  // namespace procpool::detail
