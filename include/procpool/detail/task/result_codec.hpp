// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// How the value or the exception of a task travels back: written by the worker, read by the owner of the future.

#include <cstring>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <procpool/detail/task/result_handle.hpp>
#include <procpool/detail/task/scratch_encoding.hpp>
#include <procpool/detail/task/task_context.hpp>
#include <procpool/serial/crossing.hpp>
#include <procpool/serial/decoder.hpp>
#include <procpool/serial/exception_transport.hpp>

namespace procpool::detail {

/// Stands before an encoded exception.
struct ExceptionPrefix {
  std::int64_t pid;  // of the worker
};

/// True if values of T travel in the slot itself.
template <class T>
inline constexpr bool travels_in_slot = is_flat_value<T> && sizeof(T) <= sizeof(ResultHeader::word);

/// The worker: makes `value` the result of the task. Runs code of the user's, under no lock.
template <class T>
void write_result(TaskContext& context, const T& value) {
  if constexpr (travels_in_slot<T>) {
    context.return_inline(value);
  } else {
    ScratchEncoding encoding;  // A result of some bytes takes nothing from the heap.
    encoding->add(value);      // Contiguous data is copied by write_to() alone.
    if (std::byte* block = context.allocate_result(encoding->size(), ResultKind::value)) encoding->write_to(block);
  }
}

/// The worker: makes an exception the result of the task.
inline void write_exception(TaskContext& context, const std::exception_ptr& thrown) noexcept {
  const EncodedException encoded = encode_exception(thrown);
  const ExceptionPrefix prefix{current_pid()};
  std::byte* block = context.allocate_result(sizeof prefix + encoded.bytes().size(), ResultKind::exception);
  if (block == nullptr) return;
  std::memcpy(block, &prefix, sizeof prefix);
  std::memcpy(block + sizeof prefix, encoded.bytes().data(), encoded.bytes().size());
}

/// Rebuilds an exception from what write_exception() left of the task, or of the item of it at that position.
[[nodiscard, gnu::cold]] inline std::exception_ptr read_exception(std::span<const std::byte> bytes,
                                                                  const TaskNote* note,
                                                                  std::optional<std::size_t> item = {}) {
  constexpr std::int64_t largest_pid = std::int64_t{1} << 22;  // the kernel's own limit
  ExceptionPrefix prefix{};
  if (bytes.size() >= sizeof prefix) std::memcpy(&prefix, bytes.data(), sizeof prefix);
  if (prefix.pid <= 0 || prefix.pid > largest_pid) {
    return std::make_exception_ptr(damage("the exception that ended ", name_of(note, item), "arrived damaged"));
  }
  return decode_exception(bytes.subspan(sizeof prefix), static_cast<::pid_t>(prefix.pid),
                          note != nullptr ? std::string_view(note->label) : std::string_view{},
                          note != nullptr ? note->kept.get() : nullptr);
}

/// Why a task that has ended has no value; null if it has one.
[[nodiscard]] inline std::exception_ptr failure_of(const ResultHandle& handle, const RawResult& result) {
  if (result.failure || result.header.kind != ResultKind::exception) return result.failure;
  return read_exception(result.bytes, handle.note());
}

/// A value that was made in this process: copied while the slot has another owner, moved out for the last one. What
/// cannot be copied goes to the first who asks.
template <class T>
T local_value_of(const ResultHandle& handle) {
  Exchange& exchange = handle.exchange();
  if constexpr (std::is_copy_constructible_v<T>) {
    const std::shared_ptr<void> shared = handle.is_shared() ? exchange.local(handle.handle()) : nullptr;
    if (shared) return *static_cast<const T*>(shared.get());
  }
  const std::shared_ptr<void> value = exchange.take_local(handle.handle());
  if (!value && !exchange.had_local(handle.handle())) {
    throw SerializationError(
        "the state of the continuation of a future is damaged; some worker's task wrote to memory that is not its own");
  }
  if (!value) {
    throw UsageError(
        "the value of this future went to on_ready() or co_await before, and a value of this type cannot be "
        "copied; take it once only");
  }
  return std::move(*static_cast<T*>(value.get()));
}

/// What `read()` gives; if the bytes are none of T's, the error names the task as `name()` does.
template <class T, class Read, class Name>
T readable_value(Read read, Name name) {
  try {
    return read();
  } catch (const SerializationError& error) {
    throw unreadable_result(name(), error);
  }
}

[[noreturn, gnu::cold]] inline void refuse(const ResultHandle& handle) {
  throw damage("the result of ", name_of(handle.note()), "is not of the type that the task returns");
}

/// The value of a task that has ended and has no failure. May be asked again while another owner of the slot is left.
/// Throws SerializationError if the bytes are none of T's.
template <class T>
T value_of(const ResultHandle& handle, const RawResult& result) {
  [[maybe_unused]] const auto name = [&handle] { return name_of(handle.note()); };
  if (result.header.kind == ResultKind::local) {
    if (!handle.exchange().slots.is_local(handle.handle())) refuse(handle);
    if constexpr (!std::is_void_v<T>) return local_value_of<T>(handle);
  } else if constexpr (std::is_void_v<T>) {
    if (result.header.kind != ResultKind::none) refuse(handle);
  } else if constexpr (travels_in_slot<T>) {
    if (result.header.kind != ResultKind::inline_value || result.header.size != sizeof(T)) refuse(handle);
    return readable_value<T>([&] { return load_flat<T>(reinterpret_cast<const std::byte*>(&result.header.word)); },
                             name);
  } else if constexpr (!CrossesBack<T>) {
    refuse(handle);  // Only a task of this process can return it.
  } else {
    if (result.header.kind != ResultKind::value) refuse(handle);
    const TaskNote* note = handle.note();
    const KeptBlocks* kept = note != nullptr ? note->kept.get() : nullptr;
    return readable_value<T>([&] { return decode_value<T>(result.bytes, kept); }, name);
  }
}

/// Gives a slot back at the end of the scope in which its result is read.
class GiveBack {
 public:
  GiveBack(ResultHandle& handle, const RawResult& result) noexcept : handle_(handle), result_(result) {}
  GiveBack(const GiveBack&) = delete;
  GiveBack& operator=(const GiveBack&) = delete;
  ~GiveBack() { handle_.give_back(result_); }

 private:
  ResultHandle& handle_;
  const RawResult& result_;
};

/// Takes the result of a task that has ended, and gives its slot back. Throws the task's failure.
template <class T>
T take_result(ResultHandle handle) {
  const RawResult result = handle.read();
  const GiveBack at_the_end(handle, result);
  if (const std::exception_ptr failure = failure_of(handle, result)) std::rethrow_exception(failure);
  return value_of<T>(handle, result);
}

}  // namespace procpool::detail
