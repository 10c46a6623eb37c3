// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A file to which each task appends its number, so that it can be told how often which has run.

#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <procpool/detail/os/unique_fd.hpp>

namespace support {

/// Nameless; to be made before the pool, so that its workers have the descriptor.
class Ledger {
 public:
  Ledger() {
    std::string path = std::filesystem::temp_directory_path() / "procpool-ledger-XXXXXX";
    file_ = procpool::detail::UniqueFd(::mkostemp(path.data(), O_APPEND | O_CLOEXEC));
    if (!file_.is_open()) throw std::system_error(errno, std::generic_category(), path);
    ::unlink(path.c_str());
  }

  /// For write().
  [[nodiscard]] int descriptor() const noexcept { return file_.get(); }

  /// In a task, at once before it does what it is there for. One write: a death comes before it or after it.
  static void write(int descriptor, std::uint64_t number) {
    if (::write(descriptor, &number, sizeof number) != sizeof number) {
      throw std::system_error(errno, std::generic_category(), "a task's line in the ledger");
    }
  }

  /// How often each number from `first` on was written, up to the `count`-th; and behind those, how many others.
  [[nodiscard]] std::vector<int> counts(std::uint64_t first, std::size_t count) const {
    std::vector<int> counts(count + 1);
    std::vector<std::uint64_t> numbers(8192);
    for (::off_t at = 0;;) {
      const ::ssize_t size = ::pread(file_.get(), numbers.data(), numbers.size() * sizeof numbers[0], at);
      if (size < 0 || size % sizeof numbers[0] != 0) {
        throw std::system_error(errno, std::generic_category(), "the ledger of a storm");
      }
      if (size == 0) return counts;
      at += size;
      for (std::size_t i = 0; i < static_cast<std::size_t>(size) / sizeof numbers[0]; ++i) {
        ++counts[numbers[i] - first < count ? numbers[i] - first : count];
      }
    }
  }

  void clear() const {
    if (::ftruncate(file_.get(), 0) != 0) throw std::system_error(errno, std::generic_category(), "a ledger");
  }

 private:
  procpool::detail::UniqueFd file_;
};

}  // namespace support
