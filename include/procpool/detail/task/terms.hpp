// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The terms of a task that differ from the default, at the beginning of its argument block.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include <procpool/detail/result/supervision.hpp>
#include <procpool/detail/task/reported_usage.hpp>

namespace procpool::detail {

/// Terms as the submitter gives them.
struct GivenTerms {
  std::string_view label = {};
  ReportedProgress* progress = nullptr;  // where the task is to report; null: nobody asks
  ReportedUsage* usage = nullptr;        // as above
  int retries_on_exception = 0;
  const SupervisedTerms* supervised = nullptr;  // null: all default

  [[nodiscard]] bool are_default() const noexcept {
    return are_default_there() && (supervised == nullptr || supervised->are_default());
  }
  /// True if there is nothing that the worker must know.
  [[nodiscard]] bool are_default_there() const noexcept {
    return label.empty() && progress == nullptr && usage == nullptr && retries_on_exception == 0;
  }

  /// Puts what the supervisor must know into the note of a task; `make_note()` makes that.
  template <class MakeNote>
  void supervise(MakeNote make_note) const {
    if (supervised != nullptr && !supervised->are_default()) make_note().tries = std::make_unique<Tries>(*supervised);
  }
};

/// Written by the submitter, read by the worker, which cannot change them. The text of the label follows.
struct Terms {
  std::uint64_t label_size = 0;
  ReportedProgress* progress = nullptr;
  ReportedUsage* usage = nullptr;
  std::int32_t retries_on_exception = 0;

  /// Bytes of a block that the terms take: the arguments begin behind them, aligned to 64.
  [[nodiscard]] static std::size_t size_for(std::string_view label) noexcept {
    return (sizeof(Terms) + label.size() + 63) / 64 * 64;
  }
  static void write(std::byte* block, const GivenTerms& given) noexcept {
    const Terms terms{given.label.size(), given.progress, given.usage, given.retries_on_exception};
    std::memcpy(block, &terms, sizeof terms);
    given.label.copy(reinterpret_cast<char*>(block + sizeof terms), given.label.size());  // of an empty one, nothing
  }
  [[nodiscard]] static GivenTerms read(const std::byte* block) noexcept {
    Terms terms;
    std::memcpy(&terms, block, sizeof terms);
    return {{reinterpret_cast<const char*>(block + sizeof terms), terms.label_size},
            terms.progress,
            terms.usage,
            terms.retries_on_exception};
  }
};

}  // namespace procpool::detail
