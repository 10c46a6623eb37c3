// SPDX-License-Identifier: BSL-1.0

/// @file
/// Takes the result of a task as a hostile worker may have left it: the slot's words, and the block of an encoded value
/// or exception.
///
/// An input: the type of the result; a byte of Way; then what the way says. The rest is the block.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <system_error>

#include <procpool/detail/task/result_codec.hpp>
#include <procpool/future/future.hpp>
#include <procpool/serial/register_exception.hpp>

#include "support/arena.hpp"
#include "support/input.hpp"
#include "support/values.hpp"

using namespace procpool::detail;

namespace {

/// Bits of an input's second byte.
namespace way {
constexpr unsigned honest_bytes = 1;     // of a value or an exception; the rest of the input are changes of them
constexpr unsigned exception = 2;        // the task threw
constexpr unsigned hostile_header = 4;   // kind, size and address are the input's
constexpr unsigned hostile_word = 8;     // flags, owner and ticket, and which of the final phases
constexpr unsigned ruined_extents = 16;  // the bookkeeping of the outbox
constexpr unsigned ruined_mutex = 32;
constexpr unsigned two_owners = 64;  // of the slot; and the last of them borrows
constexpr unsigned misaligned_block = 128;
}  // namespace way

/// A registered one, that is sent member by member.
struct Refusal {
  std::string why = "because";
  std::vector<int> codes{1, 2};
};
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

std::exception_ptr sample_exception(std::size_t number) {
  switch (number) {
    case 0: return std::make_exception_ptr(std::out_of_range("out of range"));
    case 1: return std::make_exception_ptr(std::system_error(2, std::system_category(), "a system error"));
    case 2: return std::make_exception_ptr(Refusal{});
    case 3: return std::make_exception_ptr(Failure("by its message"));
    case 4: return std::make_exception_ptr(5);
    case 5: {
      procpool::DeathReport report{.pid = 12, .signal = 11, .label = "label", .position = 3};
      report.stack = procpool::CrashStack({"f at file:1", "g (module+0x12)"});
      return std::make_exception_ptr(procpool::WorkerDied(std::move(report)));
    }
    case 6: return std::make_exception_ptr(std::ios_base::failure("a stream"));
    default: return std::make_exception_ptr(procpool::Cancelled("cancelled"));
  }
}
constexpr std::size_t sample_exceptions = 8;

/// All that a user can ask of an exception that came from a worker.
void use_exception(const std::exception& thrown) {
  std::size_t size = std::string(thrown.what()).size();
  if (const auto* death = dynamic_cast<const procpool::WorkerDied*>(&thrown)) {
    size += death->stack().size() + death->label().size() + death->earlier().size();
  }
  if (const auto* error = dynamic_cast<const std::system_error*>(&thrown)) size += error->code().message().size();
  const auto* origin = dynamic_cast<const procpool::RemoteOrigin*>(&thrown);
  if (origin != nullptr) size += origin->type_name().size() + origin->label().size();
  fuzz::require(size < std::size_t{1} << 40, "texts of an exception are longer than the shared memory");
  fuzz::require(origin != nullptr || typeid(thrown) == typeid(procpool::SerializationError),
                "an exception from a worker does not say where it was thrown");
}

/// Takes the bytes of a block from the input: those of an honest worker with changes, or any.
class Block {
 public:
  template <class Encode>
  Block(fuzz::Input& input, bool is_honest, std::byte* at, Encode encode) : at_(at) {
    if (!is_honest) {
      const std::span<const std::byte> bytes = input.take_rest();
      readable_.emplace(std::span(at, bytes.size()));
      if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
      size_ = bytes.size();
      return;
    }
    size_ = encode([this](std::size_t size) {
      readable_.emplace(std::span(at_, size));
      return at_;
    });
    while (!input.empty() && size_ > 0) {
      const std::size_t offset = input.take<std::uint16_t>() % size_;
      input.write_over(at + offset, std::min<std::size_t>(1 + input.below(8), size_ - offset));
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::byte* at_;
  std::size_t size_ = 0;
  std::optional<fuzz::Readable> readable_;
};

/// Bytes of an encoded value, to where `provide(size)` says.
template <class T, class Provide>
std::size_t encode_sample(Provide provide) {
  Encoding encoding;
  encoding.add(fuzz::sample<T>());
  encoding.write_to(provide(encoding.size()));
  return encoding.size();
}

template <class Provide>
std::size_t encode_sample_exception(std::size_t number, Provide provide) {
  const EncodedException encoded = encode_exception(sample_exception(number));
  const ExceptionPrefix prefix{1234};
  std::byte* at = provide(sizeof prefix + encoded.bytes().size());
  std::memcpy(at, &prefix, sizeof prefix);
  std::memcpy(at + sizeof prefix, encoded.bytes().data(), encoded.bytes().size());
  return sizeof prefix + encoded.bytes().size();
}

/// The slot and the words of it that a worker writes.
StateWord last_word(fuzz::Input& input, unsigned bits) {
  if ((bits & way::hostile_word) == 0) return StateWord(0).with_owner(1).with_ticket(77).with_phase(Phase::done);
  constexpr Phase finals[] = {Phase::done, Phase::cancelled, Phase::lost, Phase::done};
  const Phase phase = finals[input.below(4)];
  return StateWord(input.take<std::uint64_t>()).with_phase(phase);
}

/// One that looks held is tried a thousand times before it is left alone: too often for this test, so it is not held.
void ruin_mutex(fuzz::Input& input, RobustMutex& mutex) {
  input.write_over(&mutex, sizeof mutex);
  std::uint32_t holder = 0;
  std::memcpy(&holder, &mutex, sizeof holder);
  constexpr std::uint32_t owner_died = 0x40000000;
  holder = (holder & owner_died) != 0 ? holder : 0;
  std::memcpy(static_cast<void*>(&mutex), &holder, sizeof holder);
}

ResultHeader header_of(fuzz::Arena& arena, fuzz::Input& input, unsigned bits, const std::byte* block) {
  ResultHeader header;
  header.word = reinterpret_cast<std::uint64_t>(block);
  header.kind = (bits & way::exception) != 0 ? ResultKind::exception : ResultKind::value;
  if ((bits & way::hostile_header) != 0) {
    header.kind = static_cast<ResultKind>(input.take());
    header.word = arena.hostile_address(input);
    header.size = input.take<std::uint64_t>() & ResultHeader::largest_size;
  }
  return header;
}

/// As Future<T>::borrow() does it, or, where that cannot be, Future<T>::get().
template <class T>
void take_or_borrow(ResultHandle handle) {
  if constexpr (is_readable_in_place<T>) {
    const auto borrowed = procpool::Future<T>(std::move(handle)).borrow();
    if constexpr (std::is_pointer_v<read_in_place_t<T>>) fuzz::use(*borrowed);
    else fuzz::use(T(borrowed.begin(), borrowed.end()));
  } else if constexpr (std::is_void_v<T>) {
    take_result<void>(std::move(handle));
  } else {
    fuzz::use(take_result<T>(std::move(handle)));
  }
}

/// Whatever the worker wrote, there is a value, or one of these is thrown.
template <class T>
void take(ResultHandle handle, bool has_exception, bool is_borrowed = false) {
  try {
    if (is_borrowed) take_or_borrow<T>(std::move(handle));
    else if constexpr (std::is_void_v<T>) take_result<void>(std::move(handle));
    else fuzz::use(take_result<T>(std::move(handle)));
  } catch (const std::exception& thrown) {
    if (has_exception) return use_exception(thrown);
    const std::type_info& type = typeid(thrown);
    fuzz::require(type == typeid(procpool::SerializationError) || type == typeid(procpool::SharedMemoryExhausted) ||
                      type == typeid(procpool::Cancelled),
                  "a damaged result throws what nobody expects");
  } catch (const Refusal& refusal) {
    fuzz::require(has_exception, "an exception that no worker sent");
    fuzz::use(refusal);
  }
}

template <class T>
void run(fuzz::Arena& arena, fuzz::Input& input) {
  Exchange& exchange = arena.exchange();
  const unsigned bits = input.take();
  if ((bits & way::ruined_extents) != 0) arena.ruin_extents(input);
  const Handle handle = arena.allocate();
  Slot& slot = exchange.slots[handle];
  if ((bits & way::ruined_mutex) != 0) ruin_mutex(input, slot.mutex);
  const StateWord word = last_word(input, bits);
  const std::size_t offset = (bits & way::misaligned_block) != 0 ? input.below(64) : 0;
  std::byte* const at = exchange.outbox.address(1) + offset;
  ResultHeader header = header_of(arena, input, bits, at);

  // Honest bytes of a value that travels in the slot lie there.
  if constexpr (!std::is_void_v<T>) {
    if constexpr (travels_in_slot<T>) {
      if ((bits & (way::hostile_header | way::exception)) == 0) {
        header = {0, sizeof(T), ResultKind::inline_value};
        input.write_over(&header.word, sizeof header.word);
      }
    }
  } else if ((bits & (way::hostile_header | way::exception)) == 0) {
    header = {};
  }
  const bool is_exception = (bits & way::exception) != 0;
  const Block block(input, (bits & way::honest_bytes) != 0, at, [&](auto provide) -> std::size_t {
    if (is_exception) return encode_sample_exception(input.below(sample_exceptions), provide);
    if constexpr (std::is_void_v<T>) return 0;
    else return encode_sample<T>(provide);
  });
  const bool is_encoded = header.kind == ResultKind::value || header.kind == ResultKind::exception;
  if ((bits & way::hostile_header) == 0 && is_encoded) header.size = block.size();
  // Whatever the header names of the outbox may be read.
  const auto* named = reinterpret_cast<const std::byte*>(header.word);
  std::optional<fuzz::Readable> readable;
  if ((bits & way::hostile_header) != 0 && exchange.outbox.holds(named, header.size)) {
    readable.emplace(std::span(named, static_cast<std::size_t>(header.size)));
  }

  slot.result = header;
  slot.store(word);
  ResultHandle owner(exchange, handle);
  fuzz::require(owner.is_ready(), "a task that has ended is not ready");
  fuzz::require(owner.wait(std::chrono::steady_clock::time_point{}), "a task that has ended is waited for");
  static_cast<void>(owner.has_failed());
  const bool has_exception = word.phase() == Phase::done && !word.is_overdue() && header.kind == ResultKind::exception;
  const bool has_two_owners = (bits & way::two_owners) != 0;
  if (has_two_owners) {
    take<T>(owner.duplicate(), has_exception);
    take<T>(owner.duplicate(), has_exception, true);
  }
  take<T>(std::move(owner), has_exception, has_two_owners);
  fuzz::require(!exchange.slots.was_in_use(handle), "a slot was not given back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::Arena arena;
  static const bool is_registered =
      (procpool::register_exception<Refusal>(), procpool::register_exception<Failure>(), true);
  static_cast<void>(is_registered);
  fuzz::Input input(data, size);
  arena.reset();
  const std::size_t place = input.below(fuzz::Values::size + 1);
  if (place == fuzz::Values::size) run<void>(arena, input);
  else fuzz::Values::with(place, [&]<class T>() { run<T>(arena, input); });
  return 0;
}
