// SPDX-License-Identifier: BSL-1.0

#include "leftovers.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <memory>

#include "patience.hpp"
#include "process_tree.hpp"
#include "watched.hpp"

namespace support {

namespace {

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

std::map<::pid_t, std::string> processes_of_this_run() {
  std::map<::pid_t, std::string> processes;
  for (const auto& process : descendants_of(root_of_this_run())) {
    if (process.pid != ::getpid()) processes.emplace(process.pid, process.text());
  }
  return processes;
}

std::map<int, std::string> open_descriptors() {
  std::map<int, std::string> descriptors;
  const Folder folder(::opendir("/proc/self/fd"), &::closedir);
  while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr) {
    const int descriptor = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || descriptor == ::dirfd(folder.get())) continue;
    char target[PATH_MAX] = {};
    const auto length = ::readlink(("/proc/self/fd/" + std::string(entry->d_name)).c_str(), target, sizeof target - 1);
    if (length >= 0) descriptors.emplace(descriptor, target);
  }
  return descriptors;
}

/// /dev/shm; the self-test has a folder of its own, lest it disturb the tests that run beside it.
std::string shared_memory_folder() {
  const char* const other = std::getenv("PROCPOOL_TEST_SHARED_MEMORY");
  return other != nullptr ? other : "/dev/shm";
}

std::set<std::string> shared_memory_names() {
  std::set<std::string> names;
  const Folder folder(::opendir(shared_memory_folder().c_str()), &::closedir);
  while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr) {
    if (entry->d_name[0] != '.') names.emplace(entry->d_name);
  }
  return names;
}

/// Whether a process that is not of this run maps `path`: another test program at the same time.
bool is_mapped_elsewhere(const std::string& path) {
  const auto own = descendants_of(root_of_this_run());
  for (const auto& [pid, process] : all_processes()) {
    if (std::any_of(own.begin(), own.end(), [&](const ProcessEntry& entry) { return entry.pid == pid; })) continue;
    std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
    for (std::string line; std::getline(maps, line);) {
      if (line.ends_with(path)) return true;
    }
  }
  return false;
}

}  // namespace

Belongings Belongings::now() {
  Belongings belongings;
  belongings.processes_ = processes_of_this_run();
  belongings.descriptors_ = open_descriptors();
  belongings.shared_memory_ = shared_memory_names();
  return belongings;
}

std::vector<std::string> Belongings::since(const Belongings& before) const {
  std::vector<std::string> lines;
  for (const auto& [pid, text] : processes_) {
    if (!before.processes_.contains(pid)) lines.push_back("process " + text);
  }
  for (const auto& [descriptor, target] : descriptors_) {
    const auto known = before.descriptors_.find(descriptor);
    if (known == before.descriptors_.end() || known->second != target) {
      lines.push_back("descriptor " + std::to_string(descriptor) + " of " + target);
    }
  }
  for (const auto& name : shared_memory_) {
    if (!before.shared_memory_.contains(name)) lines.push_back(shared_memory_folder() + "/" + name);
  }
  return lines;
}

std::vector<std::string> left_since(const Belongings& before) {
  std::vector<std::string> lines;
  if (eventually([&] { return (lines = Belongings::now().since(before)).empty(); })) return {};
  std::erase_if(lines, [](const std::string& line) { return line.starts_with('/') && is_mapped_elsewhere(line); });
  return lines;
}

}  // namespace support
