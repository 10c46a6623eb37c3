// SPDX-License-Identifier: BSL-1.0
//
// The checksum and size of every regular file below a folder, as `cksum` prints them: checksum_tree DIR
//
// The walk is lazy: imap_unordered_outcomes reads it a little ahead of the workers, who checksum the first files before
// the last ones are found. A file that cannot be read is an exception in its worker and arrives here as the outcome of
// its item; the others go on.

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <ranges>
#include <string>
#include <system_error>
#include <vector>

#include <boost/crc.hpp>

#include <procpool/procpool.hpp>

namespace fs = std::filesystem;

/// The CRC of POSIX: that of the contents, followed by their length, lowest byte first.
std::string checksum(const fs::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  const auto check = [&](bool is_fine) {
    if (!is_fine) throw std::system_error(errno, std::generic_category(), path.string());
  };
  check(file != nullptr);

  boost::crc_optimal<32, 0x04C11DB7, 0, 0xFFFFFFFF, false, false> crc;
  std::array<char, 65536> piece;
  std::uintmax_t size = 0;
  while (const std::size_t bytes = std::fread(piece.data(), 1, piece.size(), file.get())) {
    crc.process_bytes(piece.data(), bytes);
    size += bytes;
  }
  check(std::ferror(file.get()) == 0);
  for (std::uintmax_t rest = size; rest != 0; rest >>= 8) crc.process_byte(static_cast<unsigned char>(rest));
  return std::to_string(crc.checksum()) + ' ' + std::to_string(size) + ' ' + path.string();
}

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fputs("usage: checksum_tree DIR\n", stderr);
    return 2;
  }

  procpool::ProcessPool pool;
  auto files =
      fs::recursive_directory_iterator(argv[1], fs::directory_options::skip_permission_denied) |
      std::views::filter([](const fs::directory_entry& entry) { return fs::is_regular_file(entry.symlink_status()); });

  std::vector<std::string> lines;
  bool all_read = true;
  const auto terms = pool.with({.label = "checksums"}).on_progress(procpool::ProgressBar());
  for (const auto& line : terms.imap_unordered_outcomes(checksum, files)) {
    try {
      lines.push_back(line.value());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "checksum_tree: %s\n", error.what());
      all_read = false;
    }
  }
  for (const std::string& line : lines) std::puts(line.c_str());
  return all_read ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "checksum_tree: %s\n", error.what());
  return 1;
}
