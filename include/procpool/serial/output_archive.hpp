// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The cereal archive that turns values into bytes. How each kind of value is written is in archive.hpp.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <cereal/cereal.hpp>

#include <procpool/detail/memory/kept_blocks.hpp>
#include <procpool/serial/block_reader.hpp>
#include <procpool/serial/byte_buffer.hpp>
#include <procpool/serial/stack_guard.hpp>

namespace procpool::detail {

/// A `serialize` or `save` function of the user's gets one of these. Values follow each other without names or types:
/// the reader is the same program, forked from the same process.
class OutputArchive : public cereal::OutputArchive<OutputArchive, cereal::AllowEmptyClassElision> {
 public:
  /// Writes into a buffer of its own.
  OutputArchive() : cereal::OutputArchive<OutputArchive, cereal::AllowEmptyClassElision>(this), bytes_(own_) {}

  /// Appends to `into`. The first byte of `into` will lie `ahead` bytes behind an address that is aligned to 64. Adds
  /// what the values name to `kept`.
  OutputArchive(ByteBuffer& into, std::size_t ahead, KeptBlocks* kept = nullptr)
      : cereal::OutputArchive<OutputArchive, cereal::AllowEmptyClassElision>(this), bytes_(into), ahead_(ahead),
        kept_(kept) {}

  OutputArchive(const OutputArchive&) = delete;
  OutputArchive& operator=(const OutputArchive&) = delete;

  template <class... Values>
  OutputArchive& operator()(Values&&... values) {
    (put(values), ...);
    return *this;
  }
  template <class Value>
  OutputArchive& operator&(Value&& value) {
    return (*this)(value);
  }
  template <class Value>
  OutputArchive& operator<<(Value&& value) {
    return (*this)(value);
  }

  /// Writes `count` bytes as they are.
  void write(const void* bytes, std::size_t count) { bytes_.append(bytes, count); }

  /// Writes how many elements follow. The reader refuses a count larger than the bytes behind it; finish() sees to it
  /// that an honest one never is.
  void write_size(std::size_t count);

  /// Writes `count` elements as they lie in memory, aligned as they need it.
  template <class T>
  void write_run(const T* first, std::size_t count);

  /// The value that is being written names a block, or, if it is null, one that another process keeps.
  void keep(const KeptBlocks::Block& block) {
    if (kept_ != nullptr) kept_->add(block);
  }

  /// To be called after the last value: pads where elements took no bytes at all.
  void finish();

  /// The shared objects met so far, as standard_pointers.hpp keeps them; null before the first.
  [[nodiscard]] std::shared_ptr<void>& shared_objects() noexcept { return shared_objects_; }

  /// What was written, when the archive has a buffer of its own.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.data(), bytes_.size()}; }

 private:
  template <class T>
  void put(const T& value);

  [[nodiscard]] std::size_t position() const noexcept { return ahead_ + bytes_.size(); }

  ByteBuffer own_;
  ByteBuffer& bytes_;
  std::size_t ahead_ = 0;
  KeptBlocks* kept_ = nullptr;
  std::size_t promised_end_ = 0;
  StackGuard stack_;
  std::shared_ptr<void> shared_objects_;
};

inline void OutputArchive::write_size(std::size_t count) {
  const std::uint64_t size = count;
  write(&size, sizeof size);
  if (promised_end_ < position() + count) promised_end_ = position() + count;
}

template <class T>
void OutputArchive::write_run(const T* first, std::size_t count) {
  bytes_.append_zeros(padding_at(position(), alignof(T)));
  write(first, count * sizeof(T));
}

inline void OutputArchive::finish() {
  if (position() < promised_end_) bytes_.append_zeros(promised_end_ - position());
}

}  // namespace procpool::detail
