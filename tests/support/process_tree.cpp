// SPDX-License-Identifier: BSL-1.0

#include "process_tree.hpp"

#include <dirent.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace support {

namespace {

/// What a short file of /proc says; empty if the process has gone, be it while its file is read.
std::string contents_of(const std::string& path) {
  char text[1024];
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  return file ? std::string(text, std::fread(text, 1, sizeof text, file.get())) : std::string();
}

/// Reads `pid (name) state parent …`; the name may hold spaces and brackets.
bool read_entry(::pid_t pid, ProcessEntry& entry) {
  const std::string line = contents_of("/proc/" + std::to_string(pid) + "/stat");
  const auto open = line.find('(');
  const auto close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return false;
  entry.pid = pid;
  entry.name = line.substr(open + 1, close - open - 1);
  return std::sscanf(line.c_str() + close + 1, " %c %d", &entry.state, &entry.parent) == 2;
}

}  // namespace

std::string ProcessEntry::text() const {
  std::string text = std::to_string(pid) + " \"" + name + "\", state " + state + ", child of " + std::to_string(parent);
  const std::string place = contents_of("/proc/" + std::to_string(pid) + "/wchan");
  if (place.size() > 1) text += ", in " + place;
  return text;
}

std::map<::pid_t, ProcessEntry> all_processes() {
  std::map<::pid_t, ProcessEntry> processes;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), &::closedir);
  while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr) {
    const auto pid = static_cast<::pid_t>(std::strtol(entry->d_name, nullptr, 10));
    ProcessEntry process;
    if (pid > 0 && read_entry(pid, process)) processes.emplace(pid, std::move(process));
  }
  return processes;
}

bool is_stopped(::pid_t pid) {
  ProcessEntry process;
  return read_entry(pid, process) && process.state == 'T';
}

std::vector<ProcessEntry> descendants_of(::pid_t root) {
  const auto processes = all_processes();
  std::vector<ProcessEntry> descendants;
  for (const auto& [pid, process] : processes) {
    auto ancestor = processes.find(process.parent);
    while (ancestor != processes.end() && ancestor->first != root) ancestor = processes.find(ancestor->second.parent);
    if (ancestor != processes.end()) descendants.push_back(process);
  }
  return descendants;
}

}  // namespace support
