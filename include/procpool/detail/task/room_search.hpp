// SPDX-License-Identifier: BSL-1.0
#pragma once

/// @file
/// What a caller does who finds no room for a task: what tasks that nobody waits for hold comes back by itself, what
/// somebody keeps does not.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <procpool/detail/task/exchange.hpp>
#include <procpool/error/message.hpp>
#include <procpool/error/pool_errors.hpp>

namespace procpool::detail {

enum class Room : std::uint8_t {
  look_again,
  not_yet,  // there will be some; the caller does not wait for it
  none,     // and none will come
};

/// One search of one caller, who asks next() each time that he has found no room.
///
/// It polls: what it waits for is the end of a task that nobody waits for, and whoever ends one looks at no list. The
/// event of ends is rung for tasks that somebody watches only, and what another caller gives back rings nobody. To have
/// it rung, each dropped task would be watched; so each drop would cost more, and only those who are out of memory
/// would gain.
class RoomSearch {
 public:
  RoomSearch(Exchange& exchange, bool waits) noexcept : exchange_(exchange), waits_(waits) {}

  /// Gives back what has ended. Where nothing has: if `will_come()` says that tasks which nobody waits for hold enough,
  /// waits a moment, or says that it does not. Under no lock.
  template <class WillCome>
  [[nodiscard]] Room next(WillCome will_come);

 private:
  /// No worker rings for the end of a task that nobody waits for.
  static constexpr std::chrono::milliseconds pause{1};

  Exchange& exchange_;
  bool waits_;
  bool is_last_look_ = false;
};

[[noreturn, gnu::cold]] inline void throw_no_memory(std::size_t bytes, std::size_t all) {
  throw SharedMemoryExhausted(message(
      {"the arguments of a task need ", bytes, " bytes; the memory for arguments holds ", all,
       " and is shared with tasks that are not yet taken: raise PoolOptions::shared_memory if the system has it"}));
}

[[noreturn, gnu::cold]] inline void throw_no_slot(std::size_t slots) {
  throw SharedMemoryExhausted(
      message({"no slot is free for another task: ", slots,
               " futures are held; take some, or raise PoolOptions::shared_memory if the system has it"}));
}

template <class WillCome>
Room RoomSearch::next(WillCome will_come) {
  if (exchange_.sweep(SIZE_MAX) > 0) return Room::look_again;
  if (!will_come()) {  // Another thread may have given it back since the caller looked.
    return std::exchange(is_last_look_, true) ? Room::none : Room::look_again;
  }
  is_last_look_ = false;
  if (!waits_) return Room::not_yet;
  const EventCount::Key key = exchange_.signal().ended.key();
  exchange_.signal().ended.wait(key, pause);
  return Room::look_again;
}

}  // namespace procpool::detail
