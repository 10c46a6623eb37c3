// SPDX-License-Identifier: BSL-1.0
//
// The twenty most frequent words in all text files below a folder: word_count DIR
//
// map_reduce counts the words of each file in a worker, merges the counts of neighbouring files there, and merges what
// the workers send back. A word is a run of ASCII letters in lower case; a file with a zero byte is no text,
// nor is one that cannot be read.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

namespace fs = std::filesystem;
using Counts = std::map<std::string, long>;

Counts count_words(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  Counts counts;
  if (text.find('\0') != std::string::npos) return counts;
  std::string word;
  for (const char c : text + ' ') {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower >= 'a' && lower <= 'z') {
      word += lower;
    } else if (!word.empty()) {
      ++counts[word];
      word.clear();
    }
  }
  return counts;
}

Counts merge(Counts counts, const Counts& more) {
  for (const auto& [word, count] : more) counts[word] += count;
  return counts;
}

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fputs("usage: word_count DIR\n", stderr);
    return 2;
  }

  procpool::ProcessPool pool;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(argv[1], fs::directory_options::skip_permission_denied)) {
    if (fs::is_regular_file(entry.symlink_status())) files.push_back(entry.path());
  }
  const Counts counts = pool.map_reduce(count_words, merge, Counts(), files);

  std::vector<std::pair<std::string, long>> words(counts.begin(), counts.end());
  const auto is_more_frequent = [](const auto& a, const auto& b) { return a.second > b.second; };
  // Equally frequent words stay in the map's order, that of the alphabet.
  std::stable_sort(words.begin(), words.end(), is_more_frequent);
  words.resize(std::min<std::size_t>(words.size(), 20));
  for (const auto& [word, count] : words) std::printf("%7ld %s\n", count, word.c_str());
} catch (const std::exception& error) {
  std::fprintf(stderr, "word_count: %s\n", error.what());
  return 1;
}
