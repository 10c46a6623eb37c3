// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// procpool::ProcessPool as the questions see a pool.

#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <procpool/procpool.hpp>

namespace bench {

class ProcpoolPool {
 public:
  static constexpr std::string_view name = "procpool";

  explicit ProcpoolPool(int workers) : pool_{workers} {}

  template <class F, class... Args>
  auto submit(F f, Args... args) {
    return pool_.submit(std::move(f), std::move(args)...);
  }

  template <class F, class Items>
  auto map(F f, const Items& items) {
    return pool_.map(std::move(f), items);
  }

  [[nodiscard]] auto make_array(std::size_t size) { return pool_.make_array<int>(size); }
  template <class F>
  void for_blocks(F f, const procpool::SharedArray<int>& array) {
    pool_.map_blocks(f, array);
  }

  [[nodiscard]] std::vector<pid_t> workers() {
    std::vector<pid_t> result;
    for (const auto& worker : pool_.workers()) {
      if (worker.pid != 0) result.push_back(static_cast<pid_t>(worker.pid));  // 0: the zygote has not forked it yet
    }
    return result;
  }

  /// All processes that the pool made: its workers and the zygote that forked them.
  [[nodiscard]] std::vector<pid_t> processes() {
    std::vector<pid_t> result = workers();
    if (!result.empty()) result.push_back(parent_of(result.front()));
    return result;
  }

 private:
  static pid_t parent_of(pid_t pid);

  procpool::ProcessPool<> pool_;
};

inline pid_t ProcpoolPool::parent_of(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::FILE* file = std::fopen(path.c_str(), "r");
  int parent = 0;
  // The name of the program, in brackets, may hold blanks but, for ours, no closing bracket.
  if (file == nullptr || std::fscanf(file, "%*d (%*[^)]) %*c %d", &parent) != 1) std::perror(path.c_str());
  if (file != nullptr) std::fclose(file);
  return parent;
}

}  // namespace bench
