// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The cereal archive that turns bytes back into values. How each kind of value is read is in archive.hpp.

#include <cstddef>
#include <memory>
#include <span>

#include <cereal/cereal.hpp>

#include <procpool/serial/block_reader.hpp>
#include <procpool/serial/output_archive.hpp>
#include <procpool/serial/stack_guard.hpp>

namespace procpool::detail {

/// A `serialize` or `load` function of the user's gets one of these.
class InputArchive : public cereal::InputArchive<InputArchive, cereal::AllowEmptyClassElision>, public BlockReader {
 public:
  /// Reads `block` from `offset` on. The block outlives the archive. `kept` is what values may name that come from a
  /// worker.
  explicit InputArchive(std::span<const std::byte> block, std::size_t offset = 0, const KeptBlocks* kept = nullptr)
      : cereal::InputArchive<InputArchive, cereal::AllowEmptyClassElision>(this), BlockReader(block, offset),
        kept_(kept) {}

  InputArchive(const InputArchive&) = delete;
  InputArchive& operator=(const InputArchive&) = delete;

  template <class... Values>
  InputArchive& operator()(Values&&... values) {
    (get(values), ...);
    return *this;
  }
  template <class Value>
  InputArchive& operator&(Value&& value) {
    return (*this)(value);
  }
  template <class Value>
  InputArchive& operator>>(Value&& value) {
    return (*this)(value);
  }

  [[nodiscard]] const KeptBlocks* kept() const noexcept { return kept_; }

  /// The shared objects read so far, as standard_pointers.hpp keeps them; null before the first.
  [[nodiscard]] std::shared_ptr<void>& shared_objects() noexcept { return shared_objects_; }

 private:
  template <class T>
  void get(T& value);

  const KeptBlocks* kept_;
  StackGuard stack_;
  std::shared_ptr<void> shared_objects_;
};

}  // namespace procpool::detail

// cereal finds one archive by the other for `load_minimal`, and both for CEREAL_REGISTER_TYPE.
CEREAL_SETUP_ARCHIVE_TRAITS(procpool::detail::InputArchive, procpool::detail::OutputArchive)
CEREAL_REGISTER_ARCHIVE(procpool::detail::OutputArchive)
CEREAL_REGISTER_ARCHIVE(procpool::detail::InputArchive)
