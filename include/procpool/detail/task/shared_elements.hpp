// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// A run of elements in the memory that all processes of a pool write to, and how it is sent: as a handle.
///
/// Shared by  the user's process, whose SharedElements keep the memory, and its workers, whose do not: there the task
///            does, in the user's process.
/// Crash      a worker that dies leaves the elements as they are then. A ruined handle names, in a worker, no memory
///            but what workers may write to anyhow, and in the user's process none but that of the task's own arrays.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>

#include <procpool/detail/memory/kept_blocks.hpp>
#include <procpool/detail/task/worker_self.hpp>
#include <procpool/error/pool_errors.hpp>
#include <procpool/serial/decoder.hpp>
#include <procpool/serial/standard_type.hpp>

namespace procpool::detail {

template <class T>
class SharedElements {
 public:
  SharedElements() noexcept = default;
  /// `memory` is null in a worker.
  SharedElements(T* data, std::size_t size, std::shared_ptr<const SharedBlock> memory) noexcept
      : data_(data), size_(size), memory_(std::move(memory)) {}
  SharedElements(const SharedElements&) noexcept = default;
  /// `other` is left without elements: it does not keep their memory any more.
  SharedElements(SharedElements&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
        memory_(std::move(other.memory_)) {}
  SharedElements& operator=(SharedElements other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    memory_.swap(other.memory_);
    return *this;
  }
  ~SharedElements() = default;

  [[nodiscard]] T* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] const std::shared_ptr<const SharedBlock>& memory() const noexcept { return memory_; }

  [[nodiscard]] SharedElements part(std::size_t first, std::size_t count) const noexcept {
    return SharedElements(data_ + first, count, memory_);
  }

  // NOLINTNEXTLINE(google-explicit-constructor): as which it arrives
  operator std::span<T>() const noexcept { return {data_, size_}; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::shared_ptr<const SharedBlock> memory_;
};

/// What travels of it.
struct ElementsHandle {
  std::uint64_t address = 0;
  std::uint64_t size = 0;  // in elements
};

/// `kept` is, in the user's process, what the task was sent: only that it can return.
template <class T>
[[nodiscard]] SharedElements<T> elements_at(const ElementsHandle& handle, const KeptBlocks* kept) {
  if (handle.address == 0 && handle.size == 0) return {};
  const WorkerSelf* worker = current_worker();
  if (handle.size <= std::numeric_limits<std::size_t>::max() / sizeof(T) && handle.address % alignof(T) == 0) {
    const auto* at = std::bit_cast<const std::byte*>(handle.address);
    const std::size_t bytes = handle.size * sizeof(T);
    const auto block = worker == nullptr && kept != nullptr ? kept->find(at, bytes) : nullptr;
    const bool is_there = worker != nullptr && worker->arrays != nullptr && worker->arrays->holds(at, bytes);
    if (is_there || block) return SharedElements<T>(std::bit_cast<T*>(handle.address), handle.size, block);
  }
  throw SerializationError(
      worker != nullptr ? "the handle of a SharedArray is damaged, or of another pool"
                        : "a task can return no SharedArray but those that it was sent; or the handle is damaged");
}

template <class T>
struct Standard<SharedElements<T>> : StandardParts<> {
  static void save(OutputArchive& archive, const SharedElements<T>& elements) {
    archive.keep(elements.memory());
    const ElementsHandle handle{std::bit_cast<std::uint64_t>(elements.data()), elements.size()};
    archive.write(&handle, sizeof handle);
  }
  static void load(InputArchive& archive, SharedElements<T>& elements) {
    ElementsHandle handle;
    archive.read(&handle, sizeof handle);
    elements = elements_at<T>(handle, archive.kept());
  }
};

template <class T>
struct InPlace<SharedElements<T>> {
  using type = std::span<T>;
};

}  // namespace procpool::detail
