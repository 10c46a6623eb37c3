// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The code that this process had loaded at one moment.

#include <link.h>

#include <algorithm>
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

  std::vector<Range> ranges_;               // executable segments, sorted; never empty
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
  const std::uintptr_t program = ranges_.front().begin;
  std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  const auto is_program = [&](const Range& range) { return range.begin == program; };
  // relaxed: not shared yet.
  last_.store(&*std::find_if(ranges_.begin(), ranges_.end(), is_program), std::memory_order_relaxed);
}

inline bool LoadedModules::search(std::uintptr_t address) const noexcept {
  const auto begins_after = [](std::uintptr_t word, const Range& range) { return word < range.begin; };
  const auto next = std::upper_bound(ranges_.begin(), ranges_.end(), address, begins_after);
  if (next == ranges_.begin() || address - (next - 1)->begin >= (next - 1)->bytes) return false;
  // relaxed: a guess for the next question.
  last_.store(&*(next - 1), std::memory_order_relaxed);
  return true;
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
