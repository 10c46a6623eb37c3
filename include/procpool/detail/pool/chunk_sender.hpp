// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// Reads the items of a map and gathers them into chunks.

#include <algorithm>
#include <cstddef>
#include <utility>

#include <procpool/detail/pool/chunk_source.hpp>
#include <procpool/detail/pool/item_reader.hpp>
#include <procpool/detail/task/chunk_call.hpp>

namespace procpool::detail {

template <class... Sent>
using BuilderOf = ChunkBuilder<Sent...>;

/// The callable of a map, encoded.
template <class ThisCall>
class EncodedCallable {
 public:
  template <class F>
  explicit EncodedCallable(const F& function) {
    ThisCall::encode(*encoding_, function);
  }
  [[nodiscard]] const Encoding& get() const noexcept { return *encoding_; }

 private:
  ScratchEncoding encoding_;
};

/// `ThisCall` is a ChunkCall or a ChunkReduction.
template <class ThisCall, class Reader>
class ChunkSender final : public ChunkSource {
 public:
  /// `function` is what ThisCall encodes; its callables were checked.
  template <class F>
  ChunkSender(const Sender& sender, const F& function, Reader&& reader)
      : ChunkSource(sender, ThisCall::kind, EncodedCallable<ThisCall>(function).get()), reader_(std::move(reader)) {}

  [[nodiscard]] std::size_t remaining() const override { return reader_.remaining(); }

 private:
  static constexpr std::size_t largest_chunk = std::size_t{4} << 20;  // bytes; one item may be larger

  [[nodiscard]] bool at_end() override { return reader_.at_end(); }
  [[nodiscard]] std::size_t gathered() const noexcept override { return builder_.items(); }
  [[nodiscard]] std::size_t size() const noexcept override { return builder_.size(); }
  [[nodiscard]] const KeptBlocks& kept() const noexcept override { return builder_.kept(); }
  void write(std::byte* block, const ChunkPrefix& prefix) const noexcept override { builder_.write(block, prefix); }
  void clear() noexcept override { builder_.clear(); }

  void gather(std::size_t most) override {
    if constexpr (Reader::is_contiguous_flat) {
      const std::size_t fitting = std::max<std::size_t>(1, largest_chunk / decltype(builder_)::stride);
      builder_.refer_to(reader_.read_span(std::min({most, reader_.remaining(), fitting})));
    } else {
      while (builder_.items() < most && builder_.size() < largest_chunk && !reader_.at_end()) {
        reader_.read([this](auto&&... values) { builder_.add(std::forward<decltype(values)>(values)...); });
      }
    }
  }

  Reader reader_;
  typename Reader::template with_sent<BuilderOf> builder_;
};

}  // namespace procpool::detail
