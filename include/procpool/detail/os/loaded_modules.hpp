// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The code that this process had loaded at one moment.

#include <link.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace procpool::detail {

/// A snapshot of where the code of the program and of its shared libraries lies. Taken before a fork, it tells which
/// functions the child has at the same address. Any thread may ask it at any time.
class LoadedModules {
 public:
  LoadedModules();
  LoadedModules(const LoadedModules&) = delete;
  LoadedModules& operator=(const LoadedModules&) = delete;

  /// True if `function` lay in the program or in a library when the snapshot was taken.
  [[nodiscard]] bool has_code_at(const void* function) const noexcept {
    // relaxed: any of the ranges is a good guess, and none of them changes.
    const Range* range = last_.load(std::memory_order_relaxed);
    const auto address = reinterpret_cast<std::uintptr_t>(function);
    return address - range->begin < range->bytes || search(address);
  }

 private:
  struct Range {
    std::uintptr_t begin = 0;
    std::uintptr_t bytes = 0;
  };

  [[nodiscard]] bool search(std::uintptr_t address) const noexcept;

  std::vector<Range> ranges_;               // executable segments, the program's first; never empty
  mutable std::atomic<const Range*> last_;  // where the last asked address lay; written and read by all who ask
};

/// The file that holds the code at `function`, for messages; "the program" for the program itself, empty if none does.
[[nodiscard]] inline std::string module_of(const void* function);

/// Calls `visit(module, segment begin, segment bytes)` for all executable segments.
template <class Visit>
void for_each_code_segment(Visit visit) {
  const auto visit_module = [](::dl_phdr_info* module, std::size_t, void* data) {
    for (const ElfW(Phdr)* segment = module->dlpi_phdr; segment != module->dlpi_phdr + module->dlpi_phnum; ++segment) {
      if (segment->p_type != PT_LOAD || (segment->p_flags & PF_X) == 0) continue;
      (*static_cast<Visit*>(data))(*module, module->dlpi_addr + segment->p_vaddr, segment->p_memsz);
    }
    return 0;
  };
  ::dl_iterate_phdr(visit_module, &visit);
}

inline LoadedModules::LoadedModules() {
  for_each_code_segment([this](const ::dl_phdr_info&, std::uintptr_t begin, std::uintptr_t bytes) {
    ranges_.push_back({begin, bytes});
  });
  if (ranges_.empty()) ranges_.push_back({});
  // relaxed: not shared yet.
  last_.store(ranges_.data(), std::memory_order_relaxed);
}

inline bool LoadedModules::search(std::uintptr_t address) const noexcept {
  for (const Range& range : ranges_) {  // A few dozen at most, and the answer is remembered.
    if (address - range.begin >= range.bytes) continue;
    // relaxed: a guess for the next question.
    last_.store(&range, std::memory_order_relaxed);
    return true;
  }
  return false;
}

inline std::string module_of(const void* function) {
  std::string name;
  const auto address = reinterpret_cast<std::uintptr_t>(function);
  for_each_code_segment([&](const ::dl_phdr_info& module, std::uintptr_t begin, std::uintptr_t bytes) {
    if (address - begin < bytes)
      name = module.dlpi_name == nullptr || *module.dlpi_name == '\0' ? "the program" : module.dlpi_name;
  });
  return name;
}

}  // namespace procpool::detail
