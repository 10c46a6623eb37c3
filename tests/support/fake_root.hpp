// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A directory in the place of `/`, for what reads the kernel's files.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace support {

/// A directory that stands for `/`, removed at the end.
class FakeRoot {
 public:
  FakeRoot() : path_(::mkdtemp(template_.data())) {}
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;
  ~FakeRoot() { std::filesystem::remove_all(path_); }

  FakeRoot& write(std::string_view file, std::string_view contents) {
    const std::filesystem::path path = path_ + std::string(file);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << contents;
    return *this;
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string template_ = std::filesystem::temp_directory_path() / "procpool-root-XXXXXX";
  std::string path_;
};

}  // namespace support
