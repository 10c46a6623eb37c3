// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a pool holds of the machine, as the kernel and the allocator count it.

#include <malloc.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>

#include <procpool/detail/os/read_file.hpp>
#include <procpool/pool/process_pool.hpp>

#include "deaths.hpp"

namespace support {

/// Bytes by which each kind of memory may be larger than it was.
struct MayGrow {
  std::size_t private_memory;  ///< the user's heap, and what is resident of the user's process and of the zygote
  std::size_t shared_memory;   ///< the kernel gives as much as was ever in use at once, and takes nothing back
};

/// Of a pool that is idle, and whose futures are gone.
struct Footprint {
  std::size_t heap = 0;                ///< bytes that malloc has given to the user's process, in all arenas
  std::size_t user_memory = 0;         ///< resident bytes of its own
  std::size_t user_descriptors = 0;    ///< open in it
  std::size_t zygote_memory = 0;       ///< resident bytes of its own
  std::size_t zygote_descriptors = 0;  ///< open in it
  std::size_t worker_descriptors = 0;  ///< in the worker that has most
  std::size_t shared_memory = 0;       ///< bytes of the pool's mapping that the kernel has given it

  /// What is more than it was, each with its name: memory beyond what may be, and any descriptor. Empty if nothing is.
  [[nodiscard]] std::string growth_since(const Footprint& before, const MayGrow& allowed) const;
  [[nodiscard]] std::string text() const;
};

/// `VmRSS`, `RssAnon`, …: a size in /proc/<pid>/status, in bytes; 0 where it is not told.
[[nodiscard]] inline std::size_t status_of(::pid_t pid, std::string_view name) {
  const std::string status = procpool::detail::read_file("/proc/" + std::to_string(pid) + "/status");
  const std::size_t line = status.find("\n" + std::string(name) + ":");
  if (line == std::string::npos) return 0;
  return std::strtoull(status.c_str() + line + name.size() + 2, nullptr, 10) * 1024;
}

[[nodiscard]] inline std::size_t descriptors_of(::pid_t pid) {
  const std::filesystem::directory_iterator folder("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(folder), end(folder)));
}

/// Those that it holds: a file that it opens, reads and closes is in some looks, not in all.
[[nodiscard]] inline std::size_t lasting_descriptors_of(::pid_t pid) {
  std::size_t fewest = descriptors_of(pid);
  for (int look = 0; look < 50; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // sleeps: between two looks
    fewest = std::min(fewest, descriptors_of(pid));
  }
  return fewest;
}

template <class State>
[[nodiscard]] Footprint footprint_of(const procpool::ProcessPool<State>& pool) {
  Footprint now;
  const ::pid_t zygote = zygote_of(pool);
  const auto descriptors = pool.run_on_each_worker([] { return descriptors_of(::getpid()); });
  now.zygote_memory = status_of(zygote, "RssAnon");
  now.zygote_descriptors = lasting_descriptors_of(zygote);  // At a death it reads /proc.
  now.worker_descriptors = *std::max_element(descriptors.begin(), descriptors.end());
  struct ::stat memory {};
  ::fstat(pool.sender().core->exchange().mapping.descriptor(), &memory);
  now.shared_memory = static_cast<std::size_t>(memory.st_blocks) * 512;
  ::malloc_trim(0);  // What has come back to malloc is nobody's.
  now.heap = ::mallinfo2().uordblks;
  now.user_memory = status_of(::getpid(), "RssAnon");
  now.user_descriptors = descriptors_of(::getpid());
  return now;
}

inline std::string Footprint::growth_since(const Footprint& before, const MayGrow& allowed) const {
  std::string growth;
  const auto look = [&](const char* name, std::size_t Footprint::*member, std::size_t most) {
    if (this->*member <= before.*member + most) return;
    growth += std::string(name) + " " + std::to_string(before.*member) + " -> " + std::to_string(this->*member) + "; ";
  };
  look("the user's heap", &Footprint::heap, allowed.private_memory);
  look("the user's memory", &Footprint::user_memory, allowed.private_memory);
  look("the zygote's memory", &Footprint::zygote_memory, allowed.private_memory);
  look("shared memory", &Footprint::shared_memory, allowed.shared_memory);
  look("the user's descriptors", &Footprint::user_descriptors, 0);
  look("the zygote's descriptors", &Footprint::zygote_descriptors, 0);
  look("a worker's descriptors", &Footprint::worker_descriptors, 0);
  return growth;
}

inline std::string Footprint::text() const {
  return "heap " + std::to_string(heap) + ", user " + std::to_string(user_memory) + " and " +
         std::to_string(user_descriptors) + " descriptors, zygote " + std::to_string(zygote_memory) + " and " +
         std::to_string(zygote_descriptors) + ", worker " + std::to_string(worker_descriptors) + ", shared " +
         std::to_string(shared_memory);
}

}  // namespace support
