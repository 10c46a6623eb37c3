// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// The sending side: values become bytes in private memory, and are then copied into a block in one go.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <cereal/cereal.hpp>

#include <procpool/error/pool_errors.hpp>
#include <procpool/serial/archive.hpp>
#include <procpool/serial/byte_buffer.hpp>
#include <procpool/serial/crossing.hpp>
#include <procpool/serial/sent.hpp>
#include <procpool/serial/shape.hpp>

namespace procpool::detail {

/// Values one after another, as shape.hpp lays them out. Each is encoded when it is added: that is where a `serialize`
/// of the user's runs, in the user's thread and with no lock held. Large contiguous data is only referred to until
/// write_to copies it, so nothing is copied twice. One that is cleared and used again allocates nothing in the steady
/// state.
class Encoding {
 public:
  Encoding() = default;
  Encoding(const Encoding&) = delete;
  Encoding& operator=(const Encoding&) = delete;

  /// Adds a value. Contiguous data of 256 bytes and more (that of a std::vector, std::string, std::span, array or
  /// struct) is not copied yet and must outlive the Encoding's use. What `serialize` throws passes through, and then
  /// the Encoding is as it was before; a failure of the library is SerializationError.
  template <class T>
  void add(const T& value);

  /// Adds a value that need not live on; its data is copied here. A move-only one that is given as an rvalue is
  /// consumed.
  template <class T>
  void add_owned(T&& value);

  /// A temporary cannot be referred to.
  template <class T>
    requires(!std::is_reference_v<T>)
  void add(T&& value);

  /// Bytes that write_to writes.
  [[nodiscard]] std::size_t size() const noexcept { return buffer_.size() + referred_bytes_; }

  /// The offset at which the next value begins; a Decoder that starts there reads that value alone.
  [[nodiscard]] std::size_t mark() const noexcept { return size(); }

  /// What the values name: to be kept while somebody may read them.
  [[nodiscard]] const KeptBlocks& kept() const noexcept { return kept_; }

  /// Copies everything to `block`, which is aligned to 64 and has room for size() bytes.
  void write_to(std::byte* block) const noexcept;

  /// Forgets all values and keeps the memory for the next ones.
  void clear() noexcept;

 private:
  static constexpr std::size_t smallest_referred = 256;

  enum class Keep { copy, reference };

  struct Referred {
    std::size_t behind;  // so many bytes of the buffer
    const void* data;
    std::size_t size;
  };

  template <class Sent, class T>
  void add_as(const T& value, Keep keep);
  template <class Sent, class T>
  void encode(const T& value, Keep keep);
  template <class Item>
  void encode_run(std::span<const Item> items, bool is_text, Keep keep);
  template <class T>
  void encode_archived(const T& value);

  void put(const void* data, std::size_t size, Keep keep);
  void align_to(std::size_t alignment);

  ByteBuffer buffer_;
  std::vector<Referred> referred_;
  std::size_t referred_bytes_ = 0;
  KeptBlocks kept_;
};

/// The elements of a value that is sent as a run.
template <class T>
[[nodiscard]] std::span<const run_item_t<T>> run_of(const T& value) noexcept {
  if constexpr (std::is_pointer_v<T>) {
    return {value, std::char_traits<run_item_t<T>>::length(value)};
  } else {
    return {value.data(), value.size()};
  }
}

template <class T>
void Encoding::add(const T& value) {
  require_crossing_argument<T>();
  if constexpr (Crosses<T>) add_as<sent_t<T>>(value, Keep::reference);
}

template <class T>
  requires(!std::is_reference_v<T>)
void Encoding::add(T&& value) {
  require_crossing_argument<T>();
  if constexpr (Crosses<T>) add_owned(std::move(value));
}

template <class T>
void Encoding::add_owned(T&& value) {
  using Value = std::remove_cvref_t<T>;
  require_crossing_argument<Value>();
  if constexpr (Crosses<Value>) {
    add_as<sent_t<Value>>(value, Keep::copy);
    if constexpr (std::is_same_v<T, Value> && std::is_move_constructible_v<Value>) {
      [[maybe_unused]] const Value consumed(std::move(value));
    }
  }
}

template <class Sent, class T>
void Encoding::add_as(const T& value, Keep keep) {
  const std::size_t bytes_before = buffer_.size();
  const std::size_t referred_before = referred_.size();
  const std::size_t referred_bytes_before = referred_bytes_;
  const auto undo = [&]() noexcept {
    buffer_.truncate(bytes_before);
    while (referred_.size() > referred_before) referred_.pop_back();
    referred_bytes_ = referred_bytes_before;
  };
  try {
    encode<Sent>(value, keep);
  } catch (const cereal::Exception& error) {
    undo();
    throw SerializationError(std::string("a value cannot be sent: ") + error.what());
  } catch (...) {
    undo();
    throw;
  }
}

template <class Sent, class T>
void Encoding::encode(const T& value, Keep keep) {
  constexpr Shape shape = shape_of<Sent>();
  if constexpr (shape == Shape::flat) {
    put(std::addressof(value), sizeof(T), keep);
  } else if constexpr (shape == Shape::in_place) {
    align_to(alignof(item_t<Sent>));
    put(std::addressof(value), sizeof(T), keep);
  } else if constexpr (shape == Shape::archived) {
    encode_archived(value);
  } else if constexpr (std::is_array_v<T>) {  // text in an array: its terminator is not looked for behind its end
    using Item = run_item_t<Sent>;
    const Item* end = std::char_traits<Item>::find(value, std::extent_v<T>, Item());
    encode_run(std::span(value, end == nullptr ? std::extent_v<T> : static_cast<std::size_t>(end - value)), true, keep);
  } else {
    if constexpr (std::is_pointer_v<T>) {
      if (value == nullptr) return put(&null_text, sizeof null_text, Keep::copy);
    }
    encode_run(run_of<Sent>(value), RunOf<Sent>::is_text, keep);
  }
}

template <class Item>
void Encoding::encode_run(std::span<const Item> items, bool is_text, Keep keep) {
  const std::uint64_t count = items.size();
  put(&count, sizeof count, Keep::copy);
  align_to(alignof(Item));
  put(items.data(), items.size_bytes(), keep);
  if (is_text) buffer_.append_zeros(sizeof(Item));
}

template <class T>
void Encoding::encode_archived(const T& value) {
  const std::size_t begin = buffer_.size();
  std::uint64_t length = 0;
  buffer_.append(&length, sizeof length);
  KeptBlocks named;  // of a value that fails half-way, none is kept
  OutputArchive archive(buffer_, referred_bytes_, &named);
  archive(value);
  archive.finish();
  length = buffer_.size() - begin - sizeof length;
  buffer_.overwrite(begin, &length, sizeof length);
  kept_.take(named);
}

inline void Encoding::put(const void* data, std::size_t size, Keep keep) {
  if (keep == Keep::copy || size < smallest_referred) return buffer_.append(data, size);
  referred_.push_back({buffer_.size(), data, size});
  referred_bytes_ += size;
}

inline void Encoding::align_to(std::size_t alignment) { buffer_.append_zeros(padding_at(size(), alignment)); }

inline void Encoding::write_to(std::byte* block) const noexcept {
  const auto copy = [&block](const void* data, std::size_t size) noexcept {
    if (size != 0) std::memcpy(block, data, size);
    block += size;
  };
  std::size_t copied = 0;
  for (const Referred& referred : referred_) {
    copy(buffer_.data() + copied, referred.behind - copied);
    copied = referred.behind;
    copy(referred.data, referred.size);
  }
  copy(buffer_.data() + copied, buffer_.size() - copied);
}

inline void Encoding::clear() noexcept {
  buffer_.clear();
  referred_.clear();
  referred_bytes_ = 0;
  kept_.clear();
}

/// Adds a result, or an item of a map.
template <class T>
void encode_value(Encoding& encoding, const T& value) {
  encoding.add(value);
}
template <class T>
  requires(!std::is_reference_v<T>)
void encode_value(Encoding& encoding, T&& value) {
  encoding.add(std::move(value));
}

}  // namespace procpool::detail
